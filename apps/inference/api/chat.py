"""Chat completions: OpenAI's request in, engine events out, OpenAI's answer back.

    ChatCompletionRequest → Generate ⇢ engine ⇢ events → ChatCompletion | SSE chunks

Both ways of answering hold one engine call open for exactly as long as the
HTTP request lasts: whatever ends the coroutine closes the call, and with it the
work in the engine.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from apps.inference.api import sse
from apps.inference.api.errors import ErrorResponse, internal_problem, problem_of
from apps.inference.api.schemas import (
    AssistantMessage,
    ChatCompletion,
    ChatCompletionRequest,
    Choice,
    CompletionUsage,
    PromptTokensDetails,
)
from apps.inference.client import AsyncEngineClient, EngineError
from apps.inference.engine.protocol import (
    Delta,
    Done,
    Event,
    Generate,
    Message,
    Prefill,
    Prompt,
    Sampling,
    Usage,
)
from apps.inference.services import spec_for
from apps.models.models import LocalModel

logger = logging.getLogger(__name__)

KEEP_ALIVE = 10.0
"""Seconds of silence after which a stream gets a comment line."""

GREEDY_TOP_P = 1e-6
"""OpenAI allows top_p 0; the smallest nucleus there is holds one token."""


@dataclass(frozen=True)
class ChatCall:
    """One request on its way: what the engine is asked, and what the answer is labelled with."""

    generate: Generate
    model: str
    include_usage: bool = False
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))


def chat_call(payload: ChatCompletionRequest, model: LocalModel, *, client: str) -> ChatCall:
    """The request for ``model``; ``client`` names the caller for fair queueing."""
    generate = Generate(
        model=spec_for(model),
        messages=tuple(Message(role=each.role, content=each.text) for each in payload.messages),
        sampling=_sampling(payload),
        client=client,
    )
    options = payload.stream_options
    return ChatCall(generate, model.slug, include_usage=bool(options and options.include_usage))


def _sampling(payload: ChatCompletionRequest) -> Sampling:
    given: dict[str, Any] = {
        "temperature": payload.temperature,
        "top_p": None if payload.top_p is None else max(payload.top_p, GREEDY_TOP_P),
        "top_k": payload.top_k,
        "min_p": payload.min_p,
    }
    return Sampling(
        **{name: value for name, value in given.items() if value is not None},
        seed=payload.seed,
        max_tokens=payload.max_completion_tokens or payload.max_tokens,
        stop=tuple(payload.stop),
    )


def _usage(usage: Usage) -> CompletionUsage:
    return CompletionUsage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=usage.cached_tokens),
    )


async def complete(engine: AsyncEngineClient, call: ChatCall) -> ChatCompletion:
    """The whole answer at once. Raises EngineError."""
    pieces: list[str] = []
    done: Done | None = None
    async with engine.stream(call.generate) as events:
        async for event in events:
            if isinstance(event, Delta):
                pieces.append(event.text)
            elif isinstance(event, Done):
                done = event
    if done is None:
        raise EngineError("internal_error", "The engine ended the answer without its result.")
    message = AssistantMessage(content="".join(pieces))
    return ChatCompletion(
        id=call.id,
        created=call.created,
        model=call.model,
        choices=[Choice(message=message, finish_reason=done.finish_reason)],
        usage=_usage(done.usage),
    )


async def stream(engine: AsyncEngineClient, call: ChatCall) -> AsyncGenerator[bytes, None]:
    """The answer as server-sent events, as OpenAI sends them.

    Raises EngineError before the first bytes only; they come when the prompt is
    admitted, or after KEEP_ALIVE seconds of waiting for that. Later errors are
    sent as an event, so that a client never has to guess why the stream ended.
    """
    begun = False
    try:
        async with engine.stream(call.generate) as events:
            async for event in sse.with_pauses(events, KEEP_ALIVE):
                for line in _lines(call, event):
                    begun = True
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


def _lines(call: ChatCall, event: Event | None) -> list[bytes]:
    """What one engine event, or a silence, becomes on the wire."""
    match event:
        case None:
            return [sse.comment("waiting")]
        case Prompt():
            return [_chunk(call, {"role": "assistant", "content": "", "refusal": None})]
        case Prefill():
            return [sse.comment(f"prefill {event.done}/{event.total}")]
        case Delta():
            return [_chunk(call, {"content": event.text})]
        case Done():
            return _last_lines(call, event)
        case _:
            return []


def _last_lines(call: ChatCall, done: Done) -> list[bytes]:
    lines = [_chunk(call, {}, finish_reason=done.finish_reason)]
    if call.include_usage:
        lines.append(
            _sent(_frame(call) | {"choices": [], "usage": _usage(done.usage).model_dump()})
        )
    lines.append(sse.data("[DONE]"))
    return lines


def _frame(call: ChatCall) -> dict[str, Any]:
    frame: dict[str, Any] = {
        "id": call.id,
        "object": "chat.completion.chunk",
        "created": call.created,
        "model": call.model,
    }
    if call.include_usage:  # OpenAI: null in every chunk but the last
        frame["usage"] = None
    return frame


def _chunk(call: ChatCall, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return _sent(_frame(call) | {"choices": [choice]})


def _sent(chunk: dict[str, Any]) -> bytes:
    return sse.data(json.dumps(chunk, ensure_ascii=False, separators=(",", ":")))


def _error_line(body: ErrorResponse) -> bytes:
    return sse.data(body.model_dump_json())
