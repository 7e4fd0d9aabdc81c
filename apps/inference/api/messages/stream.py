"""The Messages API's event stream. https://docs.anthropic.com/en/docs/build-with-claude/streaming"""

from __future__ import annotations

import json
from typing import Any

from apps.inference.api import sse
from apps.inference.api.answer_parts import Answer, Called, Part, Said, Thought
from apps.inference.api.errors import Problem
from apps.inference.api.messages.answer import stop_reason, usage_of
from apps.inference.api.messages.errors import body_of
from apps.inference.api.messages.message import AssistantMessage
from apps.inference.api.messages.translation import MessagesCall
from apps.inference.engine.protocol import (
    Delta,
    Event,
    Prefill,
    Prompt,
    Reasoning,
    ToolCallArguments,
)


class MessageTeller:
    """One message as it is made: see ``telling.Teller``."""

    def __init__(self, call: MessagesCall) -> None:
        self._call = call
        self._answer = Answer()
        self._open: Part | None = None
        """The part whose block was started and not stopped."""

    def heard(self, index: int, event: Event) -> list[bytes]:
        self._answer.hear(event)
        match event:
            case Prompt():
                return [self._message_start(event), _ping()]
            case Prefill():
                return [_ping()]
        return self._turned() + self._delta(event)

    def silence(self) -> list[bytes]:
        return [_ping()]

    async def over(self) -> list[bytes]:
        done = self._answer.ended
        assert self._answer.prompt is not None
        usage = usage_of(self._call, self._answer.prompt, done)
        delta = {"stop_reason": stop_reason(self._call, done), "stop_sequence": done.stop_string}
        return [
            *self._stop(),
            _sent("message_delta", delta=delta, usage=usage.model_dump()),
            _sent("message_stop"),
        ]

    def failed(self, problem: Problem) -> list[bytes]:
        return [sse.event("error", body_of(problem).model_dump_json())]

    def _message_start(self, prompt: Prompt) -> bytes:
        message = AssistantMessage(
            id=self._call.id,
            model=self._call.model,
            content=[],
            stop_reason=None,
            stop_sequence=None,
            usage=usage_of(self._call, prompt),
        )
        return _sent("message_start", message=message.model_dump())

    # --- blocks -------------------------------------------------------------

    @property
    def _index(self) -> int:
        return len(self._answer.parts) - 1

    def _turned(self) -> list[bytes]:
        """The end of a block and the start of the next, where a new part has begun."""
        part = self._answer.last
        if part is None or part is self._open:
            return []
        # By now the new part counts.
        lines = self._stop(self._index - 1)
        self._open = part
        started = _sent("content_block_start", index=self._index, content_block=_empty(part))
        return [*lines, started]

    def _stop(self, index: int | None = None) -> list[bytes]:
        if self._open is None:
            return []
        index = self._index if index is None else index
        lines = [_sent("content_block_stop", index=index)]
        if isinstance(self._open, Thought):
            signature = {"type": "signature_delta", "signature": ""}
            lines.insert(0, _sent("content_block_delta", index=index, delta=signature))
        self._open = None
        return lines

    def _delta(self, event: Event) -> list[bytes]:
        delta: dict[str, Any]
        match event:
            case Reasoning(text=str(text)) if text and self._call.shows_thinking:
                delta = {"type": "thinking_delta", "thinking": text}
            case Delta(text=str(text)) if text:
                delta = {"type": "text_delta", "text": text}
            case ToolCallArguments(text=str(text)) if text:
                delta = {"type": "input_json_delta", "partial_json": text}
            case _:
                return []
        return [_sent("content_block_delta", index=self._index, delta=delta)]


def _empty(part: Part) -> dict[str, Any]:
    match part:
        case Thought():
            return {"type": "thinking", "thinking": "", "signature": ""}
        case Said():
            return {"type": "text", "text": ""}
        case Called():
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": {}}


def _ping() -> bytes:
    return _sent("ping")


def _sent(name: str, **fields: Any) -> bytes:
    return sse.event(
        name, json.dumps({"type": name} | fields, ensure_ascii=False, separators=(",", ":"))
    )
