"""What is handed over to a request's lifetime ends with the request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from apps.inference.api.lifetime import RequestLifetimes, ends_with_request, require_request


async def serve(view: Callable[[], Awaitable[object]]) -> None:
    """One request, answered by ``view`` in a task of its own, as Django does it."""

    async def application(*_: Any) -> None:
        await asyncio.create_task(view())  # type: ignore[arg-type]

    await RequestLifetimes(application)({}, None, None)


class Body:
    closed = False

    async def aclose(self) -> None:
        self.closed = True


async def test_it_is_open_while_the_request_lasts_and_closed_after() -> None:
    body = Body()

    async def view() -> None:
        await ends_with_request(body.aclose)
        require_request()
        assert not body.closed

    await serve(view)
    assert body.closed


async def test_it_is_closed_where_the_request_fails() -> None:
    body = Body()

    async def view() -> None:
        await ends_with_request(body.aclose)
        raise OSError

    with pytest.raises(OSError):
        await serve(view)
    assert body.closed


async def test_what_comes_too_late_is_closed_at_once() -> None:
    body, over, late = Body(), asyncio.Event(), []

    async def straggler() -> None:
        await over.wait()
        with pytest.raises(asyncio.CancelledError):
            require_request()
        with pytest.raises(asyncio.CancelledError):
            await ends_with_request(body.aclose)

    async def view() -> None:
        late.append(asyncio.create_task(straggler()))

    await serve(view)
    over.set()
    await late[0]
    assert body.closed


async def test_outside_of_a_request_nothing_is_closed() -> None:
    body = Body()

    require_request()
    await ends_with_request(body.aclose)

    assert not body.closed
