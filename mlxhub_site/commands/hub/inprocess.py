"""Carries HTTP requests to this machine's hub inside this process, with no server between.

The routes read the same data folder and call the same engine as those of the web process.
Whoever may run this process owns the folder, so it answers as to the owner, whatever
address the hub itself listens on.

The application runs on an event loop in a thread of its own: an answer is read here while
it is made there, and closing it early ends the request, as a closed connection would.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import httpx2

CLOSE_SECONDS = 10.0
"""What a request that was given up gets to end."""

_END = object()


class InProcess(httpx2.BaseTransport):
    """An httpx2 transport over an ASGI application. Each request is one call of it."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hub", daemon=True)
        self._thread.start()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        exchange = _Exchange(self._loop, request)
        exchange.task = asyncio.run_coroutine_threadsafe(
            exchange.serve(self._application), self._loop
        )
        status, headers = exchange.started()
        return httpx2.Response(status, headers=headers, stream=_Body(exchange))

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()


async def _cancel_others() -> None:
    """No request outlives the transport."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=CLOSE_SECONDS)


class _Exchange:
    """One request and its answer. ``serve`` runs on the loop, the rest where it is read."""

    def __init__(self, loop: asyncio.AbstractEventLoop, request: httpx2.Request) -> None:
        self.task: Future[None]
        self._loop = loop
        self._scope = _scope(request)
        self._body = request.read()
        self._sent: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._left = asyncio.Event()
        self._received = False

    async def serve(self, application: Any) -> None:
        try:
            await application(self._scope, self._receive, self._send)
        finally:
            self._sent.put(_END)

    async def _receive(self) -> dict[str, Any]:
        if self._received:
            await self._left.wait()
            return {"type": "http.disconnect"}
        self._received = True
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def _send(self, message: dict[str, Any]) -> None:
        self._sent.put(message)

    def started(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Status and headers. Raises what the application raised before it answered."""
        message = self._sent.get()
        if message is _END:
            self.task.result()
            raise httpx2.RemoteProtocolError("The application ended without an answer.")
        return message["status"], list(message.get("headers", ()))

    def parts(self) -> Iterator[bytes]:
        while (message := self._sent.get()) is not _END:
            if message["type"] == "http.response.body":
                yield message.get("body", b"")
        if not self._left.is_set():
            self.task.result()

    def leave(self) -> None:
        """Nobody reads any more: what is still going on ends as with a lost connection."""
        if not self.task.done():
            self._loop.call_soon_threadsafe(self._left.set)
            try:
                self.task.exception(CLOSE_SECONDS)
            except (TimeoutError, asyncio.CancelledError):
                self.task.cancel()


class _Body(httpx2.SyncByteStream):
    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        return self._exchange.parts()

    def close(self) -> None:
        self._exchange.leave()


def _scope(request: httpx2.Request) -> dict[str, Any]:
    """https://asgi.readthedocs.io/en/latest/specs/www.html#http-connection-scope"""
    url = request.url
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.partition(b"?")[0],
        "query_string": url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
    }
