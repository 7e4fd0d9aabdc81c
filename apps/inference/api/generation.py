"""One request's answers, made side by side: the generation path under every dialect.

A request for several answers is as many engine calls. They share the prompt's KV
in the engine, and they live and end together: a failure of one, or whatever ends
the caller's block, closes all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

from apps.inference.api.lifetime import require_request
from apps.inference.client import AsyncEngineClient
from apps.inference.engine.protocol import Event, Generate

Numbered = tuple[int, Event]
"""An event, and which of the answers it is about, from 0."""


@asynccontextmanager
async def answers(
    engine: AsyncEngineClient, requests: Sequence[Generate]
) -> AsyncIterator[AsyncIterator[Numbered]]:
    """The events of all ``requests`` as they come. Raises EngineError, also while iterating."""
    require_request()
    async with AsyncExitStack() as calls:
        streams = [await calls.enter_async_context(engine.stream(each)) for each in requests]
        # A task per event would cost its share of a fast model's time.
        events = _numbered(streams[0]) if len(streams) == 1 else merged(streams)
        async with aclosing(events):
            yield events


async def _numbered(stream: AsyncIterator[Event]) -> AsyncGenerator[Numbered, None]:
    async for event in stream:
        yield 0, event


async def merged(streams: Sequence[AsyncIterator[Event]]) -> AsyncGenerator[Numbered, None]:
    """Whatever comes from any of the streams, until all have ended."""
    coming = {asyncio.ensure_future(_next(stream)): index for index, stream in enumerate(streams)}
    try:
        while coming:
            arrived, _ = await asyncio.wait(coming, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(arrived, key=coming.__getitem__):
                index = coming.pop(task)
                try:
                    event = task.result()
                except StopAsyncIteration:
                    continue
                coming[asyncio.ensure_future(_next(streams[index]))] = index
                yield index, event
    finally:
        for task in coming:
            task.cancel()
        await asyncio.gather(*coming, return_exceptions=True)


async def _next(stream: AsyncIterator[Event]) -> Event:
    return await anext(stream)
