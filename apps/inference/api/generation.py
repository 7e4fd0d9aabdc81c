"""One request's answers, made side by side: the generation path under every dialect.

A request for several answers is as many engine calls. They share the prompt's KV
in the engine, and they live and end together: a failure of one, or whatever ends
the caller's block, closes all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
)

from apps.inference.api.bounds import check_bounds
from apps.inference.api.lifetime import require_request
from apps.inference.client import AsyncEngineClient
from apps.inference.engine.protocol import Event, Generate
from apps.inference.keys.caller import current_caller, on_behalf_of
from apps.inference.usage.tally import current_tally

AT_ONCE = 16
"""Engine calls that one request makes side by side: a batch of the default size."""

Numbered = tuple[int, Event]
"""An event, and which of the answers it is about, from 0."""


@asynccontextmanager
async def answers(
    engine: AsyncEngineClient, requests: Sequence[Generate]
) -> AsyncIterator[AsyncIterator[Numbered]]:
    """The events of all ``requests`` as they come. Raises EngineError, also while iterating.

    Raises OutOfBounds before anything is asked of the engine.
    """
    require_request()
    check_bounds(requests)
    caller, tally = current_caller(), current_tally()
    async with AsyncExitStack() as calls:
        calls.enter_context(tally.asking(requests))
        asked = [engine.stream(on_behalf_of(caller, each)) for each in requests]
        if len(asked) <= AT_ONCE:
            streams = [await calls.enter_async_context(each) for each in asked]
        else:
            turns = asyncio.Semaphore(AT_ONCE)
            streams = [
                await calls.enter_async_context(aclosing(_in_turn(each, turns))) for each in asked
            ]
        # A task per event would cost its share of a fast model's time.
        events = _numbered(streams[0]) if len(streams) == 1 else merged(streams)
        async with aclosing(events), aclosing(tally.hearing(events)) as heard:
            yield heard


async def _in_turn(
    call: AbstractAsyncContextManager[AsyncIterator[Event]], turns: asyncio.Semaphore
) -> AsyncGenerator[Event, None]:
    """The events of a call that is made when its turn comes."""
    async with turns, call as events:
        async for event in events:
            yield event


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
