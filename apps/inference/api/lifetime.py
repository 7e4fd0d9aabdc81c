"""What a request holds open, closed when the request is over, however it ends.

A client may leave between two awaits anywhere in Django: after the view has made a
streaming response and before its first part is sent, the response is dropped and its
body neither read nor closed. It would stay, and with it the engine's work, until the
garbage collector comes by. So what has to end with the request is handed over to the
outermost layer, which sees every request's end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from contextvars import ContextVar
from typing import Any

Closer = Callable[[], Awaitable[object]]
ASGIApplication = Callable[[Any, Any, Any], Awaitable[None]]


class _Lifetime:
    def __init__(self) -> None:
        self.held = AsyncExitStack()
        self.over = False


_current: ContextVar[_Lifetime | None] = ContextVar("request_lifetime", default=None)


class RequestLifetimes:
    """An ASGI application that ends with each request what was handed over during it."""

    def __init__(self, application: ASGIApplication) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        lifetime = _Lifetime()
        # Tasks and threads that serve the request start with copies of this context.
        token = _current.set(lifetime)
        try:
            async with lifetime.held:
                try:
                    await self._application(scope, receive, send)
                finally:
                    lifetime.over = True
        finally:
            _current.reset(token)


async def ends_with_request(close: Closer) -> None:
    """Call ``close`` when the request is over, whatever may have become of its response.

    Raises CancelledError, after closing, where the request is over already. Without a
    RequestLifetimes around (as in Django's test client) whoever holds it has to close it.
    """
    lifetime = _current.get()
    if lifetime is None:
        return
    if lifetime.over:
        await close()
        raise asyncio.CancelledError
    lifetime.held.push_async_callback(close)


def require_request() -> None:
    """Raises CancelledError where the client left before the work has begun."""
    lifetime = _current.get()
    if lifetime is not None and lifetime.over:
        raise asyncio.CancelledError
