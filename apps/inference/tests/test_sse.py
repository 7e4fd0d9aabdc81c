"""Event streams: their lines, their silences, and how they begin and end."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest

from apps.inference.api import sse


async def numbers(*values: int, pause: asyncio.Event | None = None) -> AsyncIterator[int]:
    for value in values:
        yield value
        if pause is not None:
            await pause.wait()


async def test_events_pass_in_order() -> None:
    assert [event async for event in sse.with_pauses(numbers(1, 2, 3), every=60)] == [1, 2, 3]


async def test_a_silence_is_told_and_nothing_is_lost() -> None:
    pause = asyncio.Event()
    events = sse.with_pauses(numbers(1, 2, pause=pause), every=0.001)

    assert await anext(events) == 1
    assert await anext(events) is None
    assert await anext(events) is None
    pause.set()
    assert [event async for event in events if event is not None] == [2]


async def test_what_the_events_raise_is_passed_on() -> None:
    async def failing() -> AsyncIterator[int]:
        yield 1
        raise OSError

    events = sse.with_pauses(failing(), every=60)

    assert await anext(events) == 1
    with pytest.raises(OSError):
        await anext(events)


async def test_closing_in_a_silence_ends_the_wait_for_the_next_event() -> None:
    closed = asyncio.Event()

    async def waiting() -> AsyncIterator[int]:
        try:
            await asyncio.Event().wait()
            yield 1
        finally:
            closed.set()

    events = sse.with_pauses(waiting(), every=0.001)
    assert await anext(events) is None

    await events.aclose()

    assert closed.is_set()


async def test_a_body_that_fails_at_once_fails_before_the_response() -> None:
    async def body() -> AsyncIterator[bytes]:
        raise OSError
        yield b""

    with pytest.raises(OSError):
        await sse.event_stream(body())


async def test_a_response_that_nobody_reads_winds_its_body_up() -> None:
    closed = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        try:
            yield b"1"
            yield b"2"
        finally:
            closed.set()

    response = await sse.event_stream(body())
    del response
    gc.collect()

    await asyncio.wait_for(closed.wait(), timeout=60)
