"""Chat completions on their way out, while they are made: OpenAI's chunks.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

import json
from typing import Any

from apps.inference.api import sse
from apps.inference.api.answer_parts import unfinished
from apps.inference.api.chat import ChatCall
from apps.inference.api.chat_answer import logprobs_of, timings_of, usage_of
from apps.inference.api.errors import Problem
from apps.inference.api.schemas.chat_completion import ChoiceLogprobs, TokenLogprob
from apps.inference.engine.protocol import (
    Delta,
    Done,
    Event,
    Prefill,
    Prompt,
    Reasoning,
    ToolCallArguments,
    ToolCallStart,
)


class ChatTeller:
    """The answer as server-sent events, as OpenAI sends them: see ``telling.Teller``.

    ``repeated`` says whether the response cache gives it; that is known with the
    first line.
    """

    def __init__(self, call: ChatCall) -> None:
        self.repeated = False
        self._call = call
        self._done: dict[int, Done] = {}

    def heard(self, index: int, event: Event) -> list[bytes]:
        match event:
            case Prompt():
                self.repeated = event.repeated
                return [self._chunk(index, {"role": "assistant", "content": "", "refusal": None})]
            case Prefill():
                return [sse.comment(f"prefill {event.done}/{event.total}")]
            case Delta():
                told = logprobs_of(event.logprobs)
                return [self._chunk(index, {"content": event.text}, logprobs=told)]
            case Reasoning():
                return [self._chunk(index, {"reasoning_content": event.text})]
            case ToolCallStart():
                function = {"name": event.name, "arguments": ""}
                begun = {"id": event.id, "type": "function", "function": function}
                return [self._chunk(index, _call_delta(event.index, begun))]
            case ToolCallArguments():
                grown = {"function": {"arguments": event.text}}
                return [self._chunk(index, _call_delta(event.index, grown))]
            case Done():
                self._done[index] = event
                return [self._chunk(index, {}, done=event)]
            case _:
                return []

    def silence(self) -> list[bytes]:
        return [sse.comment("waiting")]

    async def over(self) -> list[bytes]:
        if len(self._done) < len(self._call.requests):
            raise unfinished()
        lines = [sse.data("[DONE]")]
        if self._call.include_usage:
            usage = usage_of(done.usage for done in self._done.values())
            lines.insert(0, _sent(self._frame() | {"choices": [], "usage": usage.model_dump()}))
        return lines

    def failed(self, problem: Problem) -> list[bytes]:
        return [sse.data(problem.body.model_dump_json())]

    def _frame(self) -> dict[str, Any]:
        frame: dict[str, Any] = {
            "id": self._call.id,
            "object": "chat.completion.chunk",
            "created": self._call.created,
            "model": self._call.model,
        }
        if self._call.include_usage:  # OpenAI: null in every chunk but the last
            frame["usage"] = None
        return frame

    def _chunk(
        self,
        index: int,
        delta: dict[str, Any],
        *,
        logprobs: list[TokenLogprob] | None = None,
        done: Done | None = None,
    ) -> bytes:
        choice: dict[str, Any] = {
            "index": index,
            "delta": delta,
            "logprobs": ChoiceLogprobs(content=logprobs).model_dump() if logprobs else None,
            "finish_reason": done.finish_reason if done else None,
        }
        if done:
            choice["timings"] = timings_of(done).model_dump()
        return _sent(self._frame() | {"choices": [choice]})


def _call_delta(index: int, call: dict[str, Any]) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, **call}]}


def _sent(chunk: dict[str, Any]) -> bytes:
    return sse.data(json.dumps(chunk, ensure_ascii=False, separators=(",", ":")))
