"""The carrier of calls inside the process, over small ASGI applications."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from mlxhub_site.commands.hub.inprocess import InProcess
from tests.fake_engine import PATIENCE


@contextmanager
def client(application: Any) -> Iterator[httpx2.Client]:
    with httpx2.Client(transport=InProcess(application), base_url="https://hub") as opened:
        yield opened


async def begin(send: Any, status: int = 200) -> None:
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body = (await receive())["body"]
    told = f"{scope['method']} {scope['path']}?{scope['query_string'].decode()} ".encode()
    await begin(send, 201)
    await send({"type": "http.response.body", "body": told, "more_body": True})
    await send({"type": "http.response.body", "body": body})


def test_a_request_arrives_as_it_was_sent_and_so_does_the_answer() -> None:
    with client(echo) as hub:
        answer = hub.post("/a%20b", params={"q": "ü"}, content=b"body")
    assert (answer.status_code, answer.text) == (201, "POST /a b?q=%C3%BC body")


def test_an_answer_is_read_while_it_is_made() -> None:
    go_on = threading.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await begin(send)
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await asyncio.to_thread(go_on.wait, 10)
        await send({"type": "http.response.body", "body": b"second"})

    with client(slow) as hub, hub.stream("GET", "/") as answer:
        parts = answer.iter_raw()
        assert next(parts) == b"first"
        go_on.set()
        assert b"".join(parts) == b"second"


def test_leaving_an_answer_ends_its_request() -> None:
    ended = threading.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await begin(send)
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        ended.set()

    with client(endless) as hub:
        with hub.stream("GET", "/") as answer:
            assert next(answer.iter_raw()) == b"first"
        assert ended.is_set()


def test_one_that_does_not_listen_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlxhub_site.commands.hub.inprocess.CLOSE_SECONDS", 0.05)
    cancelled = threading.Event()

    async def deaf(scope: Any, receive: Any, send: Any) -> None:
        await begin(send)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with client(deaf) as hub, hub.stream("GET", "/"):
        pass
    assert cancelled.wait(PATIENCE)


def test_what_the_application_raises_is_raised_here() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("lost")

    with client(broken) as hub, pytest.raises(KeyError, match="lost"):
        hub.get("/")
