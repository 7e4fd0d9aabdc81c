"""Connections that bring nothing, and what they get, on real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import uvicorn

from mlxhub_site.connections import HubConnection
from mlxhub_site.settings import HUB
from mlxhub_site.web import config_of
from tests.hub_process import until

PATIENCE = 60.0
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
MORE = 64 * 1024 * 1024
"""Bytes of an answer that fits no socket's buffer."""


class Impatient(HubConnection):
    # A request has to be sent within it by a machine that is busy.
    head_seconds = 0.5
    head_bytes = 4096
    stalled_seconds = 0.5
    ended: ClassVar[set[Any]] = set()
    """The clients' addresses."""

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.ended.add(self.client)


class _Server(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers at once; at /slow after longer than a head may take; at /large with a lot."""
    if scope["path"] == "/slow":
        await asyncio.sleep(2 * Impatient.head_seconds)
    body = bytes(MORE) if scope["path"] == "/large" else b"ok"
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """A web server with little patience, on a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application, http=Impatient, lifespan="off", log_config=None, timeout_keep_alive=60
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    assert server.listens.wait(PATIENCE)
    yield listener.getsockname()
    server.should_exit = True
    thread.join(PATIENCE)
    listener.close()


@pytest.fixture
def connection(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, PATIENCE) as connected:
        yield connected


def everything_from(connection: socket.socket) -> bytes:
    """What comes until the server closes; times out where it does not."""
    got = b""
    while part := connection.recv(65536):
        got += part
    return got


def test_who_says_nothing_is_closed_without_a_word(connection: socket.socket) -> None:
    assert everything_from(connection) == b""


def test_headers_that_trickle_are_a_408(connection: socket.socket) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x")
    answer = everything_from(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"came too slowly" in answer


def test_empty_lines_are_no_headers(connection: socket.socket) -> None:
    connection.sendall(b"\r\n\r\n")
    assert everything_from(connection).startswith(b"HTTP/1.1 408 ")


def test_headers_without_an_end_are_a_431(connection: socket.socket) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"a" * 2 * Impatient.head_bytes)
    assert everything_from(connection).startswith(b"HTTP/1.1 431 ")


def test_a_later_request_is_waited_for_no_longer_than_the_first(connection: socket.socket) -> None:
    connection.sendall(REQUEST)
    assert b"ok" in connection.recv(4096)
    connection.sendall(b"GET")
    assert everything_from(connection).startswith(b"HTTP/1.1 408 ")


def test_an_answer_may_take_longer_than_a_head(connection: socket.socket) -> None:
    connection.sendall(REQUEST.replace(b" / ", b" /slow "))
    assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    connection.sendall(REQUEST)
    assert b"ok" in connection.recv(4096)


def test_a_body_that_comes_after_its_answer_is_no_head(connection: socket.socket) -> None:
    body = bytes(4 * Impatient.head_bytes)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    connection.sendall(head)
    assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    connection.sendall(body + REQUEST)
    assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_who_does_not_read_the_answer_is_cut_off(connection: socket.socket) -> None:
    connection.sendall(REQUEST.replace(b" / ", b" /large "))
    until(lambda: connection.getsockname() in Impatient.ended, seconds=PATIENCE)
    assert len(everything_from(connection)) < MORE


def test_the_hubs_own_server_has_these_limits() -> None:
    config = config_of(HUB, application)
    config.load()
    assert config.http_protocol_class is HubConnection
