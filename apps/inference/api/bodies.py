"""The way in for bodies: none larger than the hub takes, and none slower than any network is.

Django reads a whole body into a file before it looks at who sends it. Without limits here,
anybody who reaches the hub could fill its disk, or hold a place in it with a few bytes now
and then.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from apps.inference.api.boundary import problem_response
from apps.inference.api.errors import Problem, problem
from apps.inference.api.lifetime import ASGIApplication

GRACE = 30.0
"""Seconds that every body has."""

SLOWEST = 4096
"""Bytes of a body that earn it another second."""

_ANNOUNCING = frozenset({b"content-length", b"transfer-encoding"})


class Bodies:
    """An ASGI application whose requests have bodies of at most ``most`` bytes."""

    def __init__(self, application: ASGIApplication, *, most: int) -> None:
        self._application = application
        self._most = most

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        announced = _announced(scope)
        if announced is None:
            await self._application(scope, receive, send)
        elif announced > self._most:
            await send_problem(self._too_large(), scope["path"], send, last=True)
        else:
            body = _Body(scope["path"], receive, send, most=self._most, refusal=self._too_large())
            await self._application(scope, body.receive, send)

    def _too_large(self) -> Problem:
        return problem(
            413,
            f"The request's body is too big. At most {self._most / 1024**2:,.0f} MiB are taken.",
            code="request_too_large",
        )


class _Body:
    """One request's, as it comes in."""

    def __init__(self, path: str, receive: Any, send: Any, *, most: int, refusal: Problem) -> None:
        self._path = path
        self._receive = receive
        self._send = send
        self._most = most
        self._refusal = refusal
        self._began = time.monotonic()
        self._bytes = 0
        self._whole = False

    async def receive(self) -> Any:
        """The next part; where the body was refused, that the client is gone."""
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout(self._left()):
                message = await self._receive()
        except TimeoutError:
            return await self._refused(_too_slow())
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._most:
            return await self._refused(self._refusal)
        self._whole = not message.get("more_body", False)
        return message

    def _left(self) -> float:
        return self._began + GRACE + self._bytes / SLOWEST - time.monotonic()

    async def _refused(self, why: Problem) -> Any:
        await send_problem(why, self._path, self._send, last=True)
        return {"type": "http.disconnect"}


async def send_problem(it: Problem, path: str, send: Any, *, last: bool = False) -> None:
    """Answer with it; ``last``: what else comes on the connection is not read."""
    response = problem_response(it, path)
    headers = [(name.lower().encode(), value.encode()) for name, value in response.items()]
    headers.append((b"content-length", b"%d" % len(response.content)))
    if last:
        headers.append((b"connection", b"close"))
    status = response.status_code
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})


def _announced(scope: Any) -> int | None:
    """Bytes that the headers tell of: 0 where they don't say how many, None where none come."""
    if scope["type"] != "http":
        return None
    found = {name: value for name, value in scope["headers"] if name in _ANNOUNCING}
    if not found:
        return None
    length = found.get(b"content-length", b"")
    return int(length) if length.isdigit() else 0


def _too_slow() -> Problem:
    return problem(
        408,
        "The request's body came too slowly: it has "
        f"{GRACE:.0f} seconds, and one more for every {SLOWEST:,} bytes.",
        code="request_timeout",
    )
