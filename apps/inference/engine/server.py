"""The engine's door: a Unix-domain socket, one connection per call.

Runs on the process's main thread with asyncio; the engine has a thread of its
own. A connection that closes cancels its call. Questions about the engine are
answered here, from its snapshot, so that they never wait for a forward pass.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from apps.inference.engine import protocol
from apps.inference.engine.core import Engine
from apps.inference.engine.sequence import Call
from apps.observability.ids import NAMES, marked

logger = logging.getLogger(__name__)

_REQUEST_SECONDS = 30.0
"""How long a caller may take to send its request line."""


async def serve(engine: Engine, socket_path: Path, stop: asyncio.Event) -> None:
    """Answer calls until ``stop`` is set; then accept no more and finish the open ones."""
    socket_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    socket_path.unlink(missing_ok=True)
    calls: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        calls.add(task)
        task.add_done_callback(calls.discard)
        await _answer(engine, reader, writer)

    previous = os.umask(0o177)  # the socket is its owner's alone from the start
    try:
        server = await asyncio.start_unix_server(
            accept, str(socket_path), limit=protocol.MAX_REQUEST_BYTES
        )
    finally:
        os.umask(previous)
    logger.info("listening on %s", socket_path)
    await stop.wait()
    server.close()
    engine.stop()
    if calls:
        await asyncio.wait(calls)
    socket_path.unlink(missing_ok=True)


async def _answer(
    engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        request = await _read_request(reader, writer)
        if request is not None:
            with marked(**_known(request.ids)):
                await _relay(engine, request, reader, writer)
    except ConnectionError:
        logger.debug("a caller left")
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def _read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> protocol.Request | None:
    try:
        async with asyncio.timeout(_REQUEST_SECONDS):
            line = await reader.readline()
    except (TimeoutError, ValueError):  # readline raises ValueError past its limit
        await _send(writer, _refused("The request came too slowly or was too long."))
        return None
    if not line:
        return None
    try:
        return protocol.decode_request(line)
    except ValidationError as error:
        await _send(writer, _refused(f"The request is malformed: {error}"))
        return None


async def _relay(
    engine: Engine,
    request: protocol.Request,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    answer = _from_snapshot(engine, request)
    if answer is not None:
        await _send(writer, answer)
        return
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[protocol.Event | None] = asyncio.Queue()

    def emit(event: protocol.Event) -> None:
        loop.call_soon_threadsafe(events.put_nowait, event)

    call = Call(emit, _known(request.ids))
    engine.submit(request, call)
    # The caller sends nothing more: whatever ends this read is its leaving.
    gone = asyncio.ensure_future(reader.read(1))
    gone.add_done_callback(lambda _: events.put_nowait(None))
    try:
        while (event := await events.get()) is not None:
            await _send(writer, event)
            if isinstance(event, protocol.LAST_EVENTS):
                return
    finally:
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await gone
        call.cancel()
        engine.wake()


def _known(ids: Mapping[str, str]) -> dict[str, str]:
    return {name: ids[name] for name in NAMES if name in ids}


def _from_snapshot(engine: Engine, request: protocol.Request) -> protocol.Event | None:
    match request:
        case protocol.GetStatus():
            return engine.snapshot.current_status()
        case protocol.ListCache():
            return engine.snapshot.entries
        case protocol.GetCacheStats():
            return engine.snapshot.stats
    return None


async def _send(writer: asyncio.StreamWriter, event: protocol.Event) -> None:
    writer.write(protocol.encode(event))
    await writer.drain()


def _refused(message: str) -> protocol.Failed:
    return protocol.Failed(code="invalid_request", message=message)
