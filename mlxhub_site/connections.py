"""Connections of the web server: what one may hold, and for how long.

A connection costs a descriptor, of which a process has a few thousand. Uvicorn waits for ever for
the head of a request, takes one of any length, and waits for ever for a client that reads
nothing of its answer. Behind a proxy that is the proxy's to mend; the hub also stands
without one.

Bodies have limits of their own (``apps.inference.api.bodies``).
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

KEEP_ALIVE_SECONDS = 5
"""How long a connection stays open for a next request of which nothing came yet."""


class HubConnection(HttpToolsProtocol):
    """Uvicorn's, with an end to its patience."""

    head_seconds = 30.0
    """From the connection's start, or a later request's first byte, until its headers are whole.

    What is left of a body counts too where its request was answered before it had come.
    """

    head_bytes = 512 * 1024
    """Of an unfinished head, and what came in the same read before it.

    A finished head of more than ``MAX_HEADER_BYTES`` gets the API's own error.
    """

    stalled_seconds = 300.0
    """For a client that reads nothing of an answer while more than a buffer of it waits."""

    _head_timer: TimerHandle | None = None
    _stall_timer: TimerHandle | None = None
    _unfinished = 0
    """Bytes of a head that is not whole."""
    _in_body = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_has_come()
        self._client_reads()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing() or self._is_answering():
            return
        self._await_head()
        if not self._in_body:
            self._unfinished += len(data)
        if self._unfinished > self.head_bytes:
            self._refuse(431, b"The request's headers are too long.")

    def on_headers_complete(self) -> None:
        self._head_has_come()
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(self.stalled_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._client_reads()
        super().resume_writing()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._head_is_late)

    def _head_has_come(self) -> None:
        self._unfinished = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _client_reads(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _head_is_late(self) -> None:
        if self.transport.is_closing():
            return
        if self._unfinished:
            self._refuse(408, b"The request's headers came too slowly.")
        else:
            # Browsers open connections ahead, and would take an answer for that of a request
            # which they are about to send.
            self.transport.close()

    def _refuse(self, status: int, why: bytes) -> None:
        self.transport.write(
            STATUS_LINE[status]
            + b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
            + b"content-length: %d\r\n\r\n" % len(why)
            + why
        )
        self.transport.close()
