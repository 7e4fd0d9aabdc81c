"""The engine client, once for threads and once for coroutines.

Both open one connection per call. ``stream`` yields events until the call's
last one and raises EngineError where the engine answers with a failure.
Closing a stream (leaving its ``with`` block, or cancelling the task that reads
it) closes the connection, and with it cancels the work in the engine.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from pydantic import ValidationError

from apps.inference import open_calls
from apps.inference.engine import protocol
from apps.observability.ids import current_ids

CONNECT_TIMEOUT = 2.0
"""Seconds to wait for the engine to accept a connection."""

SEND_TIMEOUT = 30.0
"""Seconds to wait for the engine to read a request; a long one does not fit the socket's buffer."""

SILENCE_TIMEOUT = 600.0
"""Seconds a call may go without an event; loading a large model is the longest."""

LINE_LIMIT = 16 * 1024 * 1024
"""Longest event line accepted, in bytes."""

E = TypeVar("E")


class EngineError(Exception):
    """The engine refused or failed a call.

    ``code`` is one of protocol.ErrorCode, or ``engine_unavailable`` where no
    answer was to be had. ``retry_after`` is seconds, None where waiting is no use.
    """

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after


class EngineUnavailable(EngineError):
    """Nothing listens on the socket, or the engine went away in mid-call."""

    def __init__(self, message: str) -> None:
        super().__init__("engine_unavailable", message, retry_after=2.0)


class HubStopping(EngineError):
    """This process has to end before the call did."""

    def __init__(self) -> None:
        message = "The hub is being stopped, so the answer ends here. Ask again in a moment."
        super().__init__("shutting_down", message, retry_after=5.0)


_NOT_RUNNING = (
    "The engine is not running. Start it with `mlx-hub up`; if it is up, it is restarting."
)
_NOT_UNDERSTOOD = (
    "The engine's answer was not understood; it may be of another version. Restart the hub."
)
_WENT_AWAY = "The engine stopped while it was answering. It restarts by itself; try again."


def _silent(seconds: float) -> EngineUnavailable:
    return EngineUnavailable(
        f"The engine gave no sign for {seconds:g} s. See logs/engine.log, or restart it."
    )


def _encoded(request: protocol.Request) -> bytes:
    """The request, marked with whose work it is."""
    ids = current_ids()
    return protocol.encode(request.model_copy(update={"ids": ids}) if ids else request)


def _checked(line: bytes) -> protocol.Event:
    try:
        event = protocol.decode_event(line)
    except ValidationError as error:
        raise EngineError("internal_error", _NOT_UNDERSTOOD) from error
    if isinstance(event, protocol.Failed):
        raise EngineError(event.code, event.message, event.retry_after)
    return event


def _expect(event: Any, kind: type[E]) -> E:
    if not isinstance(event, kind):
        raise EngineError("internal_error", f"The engine answered {event!r}.")
    return event


class EventStream(Iterator[protocol.Event]):
    """One call's events, up to and with its last; raises EngineError."""

    def __init__(self, connection: socket.socket, lines: BinaryIO, silence_timeout: float) -> None:
        self._connection = connection
        self._lines = lines
        self._silence_timeout = silence_timeout
        self._ended = False

    def __next__(self) -> protocol.Event:
        if self._ended:
            raise StopIteration
        try:
            line = self._lines.readline(LINE_LIMIT)
        except TimeoutError as error:
            raise _silent(self._silence_timeout) from error
        except OSError as error:
            raise EngineUnavailable(_WENT_AWAY) from error
        if not line.endswith(b"\n"):
            raise EngineUnavailable(_WENT_AWAY)
        event = _checked(line)
        self._ended = isinstance(event, protocol.LAST_EVENTS)
        return event

    def cancel(self) -> None:
        """End the call, from any thread: whoever reads it sees EngineUnavailable."""
        with suppress(OSError):  # the other end was faster
            self._connection.shutdown(socket.SHUT_RDWR)


class EngineClient:
    """Blocking client, for views, tasks, commands and threads."""

    def __init__(self, socket_path: Path, *, silence_timeout: float = SILENCE_TIMEOUT) -> None:
        self.socket_path = socket_path
        self.silence_timeout = silence_timeout

    @contextmanager
    def stream(self, request: protocol.Request) -> Iterator[EventStream]:
        """The call's events; raises EngineError, also while iterating."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(CONNECT_TIMEOUT)
            try:
                connection.connect(str(self.socket_path))
                connection.settimeout(SEND_TIMEOUT)
                connection.sendall(_encoded(request))
            except TimeoutError as error:
                raise _silent(connection.gettimeout() or 0.0) from error
            except OSError as error:
                raise EngineUnavailable(_NOT_RUNNING) from error
            connection.settimeout(self.silence_timeout)
            # Closed here and not by whoever reads: a socket stays open for as
            # long as a file made from it does.
            with connection.makefile("rb") as lines:
                yield EventStream(connection, lines, self.silence_timeout)
        finally:
            connection.close()

    def call(self, request: protocol.Request, kind: type[E]) -> E:
        """The call's last event, which must be of ``kind``; raises EngineError."""
        last: protocol.Event | None = None
        with self.stream(request) as events:
            for event in events:
                last = event
        return _expect(last, kind)

    def status(self) -> protocol.Status:
        """What the engine is and does now; raises EngineError."""
        return self.call(protocol.GetStatus(), protocol.Status)


class AsyncEngineClient:
    """Coroutine client, for streaming views."""

    def __init__(self, socket_path: Path, *, silence_timeout: float = SILENCE_TIMEOUT) -> None:
        self.socket_path = socket_path
        self.silence_timeout = silence_timeout

    @asynccontextmanager
    async def stream(
        self, request: protocol.Request
    ) -> AsyncIterator[AsyncIterator[protocol.Event]]:
        """The call's events; raises EngineError, also while iterating."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                reader, writer = await asyncio.open_unix_connection(
                    str(self.socket_path), limit=LINE_LIMIT
                )
        except OSError as error:
            raise EngineUnavailable(_NOT_RUNNING) from error
        try:
            try:
                writer.write(_encoded(request))
                async with asyncio.timeout(SEND_TIMEOUT):
                    await writer.drain()
            except TimeoutError as error:
                writer.transport.abort()  # closing would wait for the rest to be read
                raise _silent(SEND_TIMEOUT) from error
            except OSError as error:
                raise EngineUnavailable(_WENT_AWAY) from error
            with open_calls.known(writer):
                yield self._events(reader, writer)
        finally:
            writer.close()

    async def _events(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> AsyncIterator[protocol.Event]:
        while True:
            try:
                async with asyncio.timeout(self.silence_timeout):
                    line = await reader.readline()
            except TimeoutError as error:
                raise _silent(self.silence_timeout) from error
            except (OSError, ValueError) as error:
                raise EngineUnavailable(_WENT_AWAY) from error
            if not line.endswith(b"\n"):
                ended_here = open_calls.was_ended(writer)
                raise HubStopping if ended_here else EngineUnavailable(_WENT_AWAY)
            event = _checked(line)
            yield event
            if isinstance(event, protocol.LAST_EVENTS):
                return

    async def call(self, request: protocol.Request, kind: type[E]) -> E:
        """The call's last event, which must be of ``kind``; raises EngineError."""
        last: protocol.Event | None = None
        async with self.stream(request) as events:
            async for event in events:
                last = event
        return _expect(last, kind)

    async def status(self) -> protocol.Status:
        """What the engine is and does now; raises EngineError."""
        return await self.call(protocol.GetStatus(), protocol.Status)
