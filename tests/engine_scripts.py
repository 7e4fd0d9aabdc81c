"""What a scripted engine answers: the steps of a call, and whole answers made of them."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Literal

from pydantic import BaseModel

from apps.inference.engine.protocol import (
    CacheEntry,
    Delta,
    Done,
    Embedded,
    ErrorCode,
    Failed,
    Prefill,
    Prompt,
    Timings,
    Usage,
    Vectors,
)


class Gate:
    """A step that holds the answer back until a test opens it, from any thread."""

    def __init__(self) -> None:
        self._opened: Future[None] = Future()

    def open(self) -> None:
        if not self._opened.done():
            self._opened.set_result(None)

    async def passed(self) -> None:
        await asyncio.shield(asyncio.wrap_future(self._opened))


class HangUp:
    """A step that closes the connection, as an engine that died would."""


class Hang:
    """A step that says nothing more until the caller goes away."""


Step = BaseModel | Gate | HangUp | Hang


def reply(
    *pieces: str | Step,
    prompt_tokens: int = 12,
    cached_tokens: int = 0,
    marked_tokens: int = 0,
    reasoning_tokens: int = 0,
    finish_reason: Literal["stop", "length", "tool_calls"] = "stop",
    stop_string: str | None = None,
) -> list[Step]:
    """A whole answer: one Delta for each piece of text; other steps stay where they stand."""
    steps: list[Step] = [
        Prompt(
            prompt_tokens=prompt_tokens, cached_tokens=cached_tokens, marked_tokens=marked_tokens
        ),
        Prefill(done=prompt_tokens, total=prompt_tokens),
    ]
    steps += [Delta(text=piece) if isinstance(piece, str) else piece for piece in pieces]
    tokens = sum(isinstance(piece, str) for piece in pieces)
    usage = Usage(
        prompt_tokens=prompt_tokens,
        completion_tokens=tokens,
        cached_tokens=cached_tokens,
        reasoning_tokens=reasoning_tokens,
    )
    timings = Timings(queued=0.0, time_to_first_token=0.05, decode=0.2, tokens_per_second=20.0)
    done = Done(finish_reason=finish_reason, stop_string=stop_string, usage=usage, timings=timings)
    steps.append(done)
    return steps


def failure(code: ErrorCode, message: str = "It failed.", retry_after: float | None = None) -> Step:
    return Failed(code=code, message=message, retry_after=retry_after)


def vectors(*each: Sequence[float]) -> list[Step]:
    """What an embedding call gets, in two parts and out of order."""
    encoded = [base64.b64encode(struct.pack(f"<{len(v)}f", *v)).decode() for v in each]
    order = range(len(encoded) - 1, -1, -1)
    parts = [tuple(order[:1]), tuple(order[1:])]
    steps: list[Step] = [
        Vectors(indexes=part, vectors=tuple(encoded[index] for index in part))
        for part in parts
        if part
    ]
    return [*steps, Embedded(prompt_tokens=3 * len(encoded), dimensions=len(each[0]))]


def cache_entry(entry_id: str, **fields: Any) -> CacheEntry:
    defaults: dict[str, Any] = {
        "model": "tiny",
        "model_digest": "digest-tiny",
        "kind": "system",
        "preview": "You are a helpful assistant.",
        "tokens": 100,
        "bytes": 4096,
        "hits": 0,
        "pinned": False,
        "in_memory": True,
        "on_disk": True,
        "created_at": 1_700_000_000.0,
        "last_used_at": 1_700_000_000.0,
    }
    return CacheEntry(id=entry_id, **(defaults | fields))
