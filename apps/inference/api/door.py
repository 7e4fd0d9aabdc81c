"""The way in for calls that have the engine compute: no more at once than it can hold.

The engine refuses what its batch and its queue can't take. By then a call has been parsed
and checked, which under a flood takes the time of those that were let in. So the outermost
layer counts, and turns the rest away before a byte of them is read.

A call takes its place with the last byte of its body: who sends slowly, or never ends, keeps
nobody out.
"""

from __future__ import annotations

from typing import Any

from apps.inference.api.bodies import send_problem
from apps.inference.api.errors import Problem, problem
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
        if self._is_full():
            await send_problem(self._refusal(), scope["path"], send)
            return
        is_inside = False

        async def receive_and_enter() -> Any:
            nonlocal is_inside
            message = await receive()
            if is_inside or message["type"] != "http.request" or message.get("more_body", False):
                return message
            if self._is_full():
                await send_problem(self._refusal(), scope["path"], send)
                return {"type": "http.disconnect"}
            is_inside = True
            self._inside += 1
            return message

        try:
            await self._application(scope, receive_and_enter, send)
        finally:
            self._inside -= is_inside

    def _is_full(self) -> bool:
        return self._inside >= self._places

    def _refusal(self) -> Problem:
        return problem(
            429,
            f"{self._inside} requests are being answered or wait already. Try again in "
            f"{RETRY_SECONDS} seconds, or raise MLXHUB_MAX_QUEUE.",
            kind="rate_limit_error",
            code="queue_full",
            retry_after=RETRY_SECONDS,
        )


def _computes(scope: Any) -> bool:
    return scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in COMPUTING
