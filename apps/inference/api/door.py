"""The way in for calls that have the engine compute: no more at once than it can hold.

The engine refuses what its batch and its queue can't take. By then a call has been parsed
and checked, which under a flood takes the time of those that were let in. So the outermost
layer counts, and turns the rest away before a byte of them is read.
"""

from __future__ import annotations

from typing import Any

from apps.inference.api.boundary import problem_response
from apps.inference.api.errors import problem
from apps.inference.api.lifetime import ASGIApplication

COMPUTING = frozenset({
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/messages",
    "/v1/rerank",
    "/v1/responses",
})  # fmt: skip

RETRY_SECONDS = 5
"""As the engine says where its queue is full."""


class Door:
    """An ASGI application that lets so many computing calls in at a time."""

    def __init__(self, application: ASGIApplication, *, places: int) -> None:
        self._application = application
        self._places = places
        self._inside = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if not _computes(scope):
            await self._application(scope, receive, send)
            return
        if self._inside >= self._places:
            await self._turn_away(scope["path"], send)
            return
        self._inside += 1
        try:
            await self._application(scope, receive, send)
        finally:
            self._inside -= 1

    async def _turn_away(self, path: str, send: Any) -> None:
        refusal = problem(
            429,
            f"{self._inside} requests are being answered or wait already. Try again in "
            f"{RETRY_SECONDS} seconds, or raise MLXHUB_MAX_QUEUE.",
            kind="rate_limit_error",
            code="queue_full",
            retry_after=RETRY_SECONDS,
        )
        response = problem_response(refusal, path)
        headers = [(k.lower().encode(), v.encode()) for k, v in response.items()]
        headers.append((b"content-length", b"%d" % len(response.content)))
        status = response.status_code
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": response.content})


def _computes(scope: Any) -> bool:
    return scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in COMPUTING
