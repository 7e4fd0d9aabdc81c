"""Server-sent events over ASGI: lines, silence, and responses that begin in time.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TypeVar

from django.http import StreamingHttpResponse

from apps.inference.api.lifetime import ends_with_request

T = TypeVar("T")


def data(text: str) -> bytes:
    """An event; ``text`` is one line."""
    return f"data: {text}\n\n".encode()


def event(name: str, text: str) -> bytes:
    """An event with a name; ``text`` is one line."""
    return f"event: {name}\ndata: {text}\n\n".encode()


def comment(text: str) -> bytes:
    """A line that clients skip; it keeps an idle connection from being cut."""
    return f": {text}\n\n".encode()


async def with_pauses(events: AsyncIterator[T], every: float) -> AsyncGenerator[T | None, None]:
    """The events, and None after each ``every`` seconds in which none came."""
    coming: asyncio.Task[T] | None = None
    try:
        while True:
            coming = coming or asyncio.create_task(_next(events))
            done, _ = await asyncio.wait({coming}, timeout=every)
            if not done:
                yield None
                continue
            arrived, coming = coming, None
            try:
                yield arrived.result()
            except StopAsyncIteration:
                return
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.wait({coming})


async def _next(events: AsyncIterator[T]) -> T:
    return await anext(events)


async def event_stream(body: AsyncGenerator[bytes, None]) -> StreamingHttpResponse:
    """A response that streams ``body``, once that has produced its first bytes.

    What ``body`` raises before them is raised here, where it can still become a
    proper status. From then on it must not raise.
    """
    first = await anext(body)
    # The client may leave before the response below is ever iterated.
    await ends_with_request(body.aclose)
    response = StreamingHttpResponse(_resume(first, body), content_type="text/event-stream")
    response["Cache-Control"] = "no-cache"
    response["X-Accel-Buffering"] = "no"  # nginx would hold the events back
    return response


async def _resume(first: bytes, body: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with aclosing(body):
        yield first
        async for part in body:
            yield part
