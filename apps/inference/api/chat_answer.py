"""Chat completions on their way out: engine events as OpenAI's answer.

    generation.answers ⇢ events → ChatCompletion | server-sent chunks

Both ways of answering hold the engine calls open for exactly as long as the
HTTP request lasts: whatever ends the coroutine closes them, and with them the
work in the engine.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any

from apps.inference.api import sse
from apps.inference.api.answer_parts import Answer, Called, Said, Thought
from apps.inference.api.chat import ChatCall
from apps.inference.api.errors import ErrorResponse, internal_problem, problem_of
from apps.inference.api.generation import Numbered, answers
from apps.inference.api.schemas.chat_completion import (
    AssistantMessage,
    CalledFunction,
    ChatCompletion,
    Choice,
    ChoiceLogprobs,
    ChoiceTimings,
    CompletionTokensDetails,
    CompletionUsage,
    PromptTokensDetails,
    SpeculationFigures,
    TokenLogprob,
    ToolCall,
    TopLogprob,
)
from apps.inference.client import AsyncEngineClient, EngineError
from apps.inference.engine import protocol
from apps.inference.engine.protocol import (
    Delta,
    Done,
    Prefill,
    Prompt,
    Reasoning,
    ToolCallArguments,
    ToolCallStart,
    Usage,
)

logger = logging.getLogger(__name__)

KEEP_ALIVE = 10.0
"""Seconds of silence after which a stream gets a comment line."""

LEAST_LOGPROB = -9999.0
"""OpenAI's figure for a token that can't come; JSON has no infinity."""


async def complete(engine: AsyncEngineClient, call: ChatCall) -> tuple[ChatCompletion, bool]:
    """The whole answer at once, and whether the response cache gave it. Raises EngineError."""
    grown = [Answer() for _ in call.requests]
    async with answers(engine, call.requests) as events:
        async for index, event in events:
            grown[index].hear(event)
    ended = [answer.ended for answer in grown]
    completion = ChatCompletion(
        id=call.id,
        created=call.created,
        model=call.model,
        choices=[_choice(call, index, answer) for index, answer in enumerate(grown)],
        usage=usage_of(done.usage for done in ended),
    )
    return completion, all(done.repeated for done in ended)


def _choice(call: ChatCall, index: int, answer: Answer) -> Choice:
    asked_for = call.requests[index].sampling.logprobs is not None
    said = [part for part in answer.parts if isinstance(part, Said)]
    tokens = [token for part in said for token in part.logprobs]
    return Choice(
        index=index,
        message=_message(answer),
        logprobs=ChoiceLogprobs(content=_logprobs(tokens)) if asked_for else None,
        finish_reason=answer.ended.finish_reason,
        timings=timings_of(answer.ended),
    )


def _message(answer: Answer) -> AssistantMessage:
    text = "".join(part.text for part in answer.parts if isinstance(part, Said))
    thoughts = "".join(part.text for part in answer.parts if isinstance(part, Thought))
    calls = [
        ToolCall(id=part.id, function=CalledFunction(name=part.name, arguments=part.text))
        for part in answer.parts
        if isinstance(part, Called)
    ]
    return AssistantMessage(
        content=None if calls and not text else text,
        reasoning_content=thoughts or None,
        tool_calls=calls or None,
    )


def _unfinished() -> EngineError:
    return EngineError("internal_error", "The engine ended the answer without its result.")


def usage_of(usages: Iterable[Usage]) -> CompletionUsage:
    """Of a request: its prompt counts once, its answers each.

    What was cached is what the first to look found; the others found what that one computed.
    """
    each = list(usages)
    prompt, completion = each[0].prompt_tokens, sum(usage.completion_tokens for usage in each)
    return CompletionUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        prompt_tokens_details=PromptTokensDetails(
            cached_tokens=min(usage.cached_tokens for usage in each)
        ),
        completion_tokens_details=CompletionTokensDetails(
            reasoning_tokens=sum(usage.reasoning_tokens for usage in each)
        ),
    )


def timings_of(done: Done) -> ChoiceTimings:
    """Where an answer's time went."""
    proposed = done.speculation
    figures = None if proposed is None else SpeculationFigures.model_validate(proposed)
    return ChoiceTimings(**done.timings.model_dump(), speculation=figures)


def _logprobs(tokens: Iterable[protocol.TokenLogprob]) -> list[TokenLogprob]:
    return [
        TokenLogprob(**_top(token), top_logprobs=[TopLogprob(**_top(top)) for top in token.top])
        for token in tokens
    ]


def _top(token: protocol.TopToken) -> dict[str, Any]:
    logprob = max(token.logprob, LEAST_LOGPROB)
    return {"token": token.text, "bytes": list(token.bytes), "logprob": logprob}


class ChatStream:
    """The answer as server-sent events, as OpenAI sends them.

    ``repeated`` says whether the response cache gives it; that is known once
    ``lines`` has produced its first bytes.
    """

    def __init__(self, call: ChatCall) -> None:
        self.repeated = False
        self._call = call
        self._done: dict[int, Done] = {}

    async def lines(self, engine: AsyncEngineClient) -> AsyncGenerator[bytes, None]:
        """Raises EngineError before the first bytes only.

        Those come when a prompt is admitted, or after KEEP_ALIVE seconds of waiting
        for that. Later errors are sent as an event, so that a client never has to
        guess why the stream ended.
        """
        begun = False
        try:
            async with (
                answers(engine, self._call.requests) as events,
                aclosing(sse.with_pauses(events, KEEP_ALIVE)) as heard,
            ):
                async for numbered in heard:
                    for line in self._heard(numbered):
                        begun = True
                        yield line
            for line in self._last_lines():
                yield line
        except EngineError as error:
            if not begun:
                raise
            yield _error_line(problem_of(error).body)
        except Exception:
            if not begun:
                raise
            logger.exception("A chat stream broke off.")
            yield _error_line(internal_problem().body)

    def _heard(self, numbered: Numbered | None) -> list[bytes]:
        """What one engine event, or a silence, becomes on the wire."""
        if numbered is None:
            return [sse.comment("waiting")]
        index, event = numbered
        match event:
            case Prompt():
                self.repeated = event.repeated
                return [self._chunk(index, {"role": "assistant", "content": "", "refusal": None})]
            case Prefill():
                return [sse.comment(f"prefill {event.done}/{event.total}")]
            case Delta():
                told = _logprobs(event.logprobs)
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

    def _last_lines(self) -> list[bytes]:
        if len(self._done) < len(self._call.requests):
            raise _unfinished()
        lines = [sse.data("[DONE]")]
        if self._call.include_usage:
            usage = usage_of(done.usage for done in self._done.values())
            lines.insert(0, _sent(self._frame() | {"choices": [], "usage": usage.model_dump()}))
        return lines

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


def _error_line(body: ErrorResponse) -> bytes:
    return sse.data(body.model_dump_json())
