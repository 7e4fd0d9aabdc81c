"""Several streams as one: order, ends, failures, and what is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from apps.inference.api.generation import merged


async def numbers(*values: int, hold: asyncio.Event | None = None) -> AsyncIterator[Any]:
    for value in values:
        yield value
        if hold is not None:
            await hold.wait()


async def test_each_event_is_numbered_by_its_stream() -> None:
    heard = [event async for event in merged([numbers(1, 2), numbers(3), numbers()])]

    assert sorted(heard) == [(0, 1), (0, 2), (1, 3)]
    assert heard.index((0, 1)) < heard.index((0, 2))


async def test_a_stream_that_waits_holds_no_other_up() -> None:
    hold = asyncio.Event()
    events = merged([numbers(1, 2, hold=hold), numbers(3, 4)])

    assert sorted([await anext(events) for _ in range(3)]) == [(0, 1), (1, 3), (1, 4)]
    hold.set()
    assert [event async for event in events] == [(0, 2)]


async def test_a_failure_passes_on_and_leaves_no_task_behind() -> None:
    async def failing() -> AsyncIterator[Any]:
        raise OSError
        yield

    before = asyncio.all_tasks()
    with pytest.raises(OSError):
        async for _ in merged([numbers(1, hold=asyncio.Event()), failing()]):
            pass

    assert asyncio.all_tasks() == before


async def test_closing_it_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    events = merged([numbers(1, hold=asyncio.Event()), numbers(2, hold=asyncio.Event())])
    await anext(events)

    await events.aclose()

    assert asyncio.all_tasks() == before
