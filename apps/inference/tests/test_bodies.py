"""Bodies have a limit in bytes and in time, before anything looks at who sends them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest

from apps.inference.api import bodies
from apps.inference.api.bodies import Bodies

MOST = 10


class Reads:
    """An application that reads a body to its end, as Django does."""

    def __init__(self) -> None:
        self.read: bytes | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        parts = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                break
        self.read = b"".join(parts)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def post(application: Reads, *parts: bytes, length: int | None = None) -> list[Any]:
    """What is answered to a body in parts. No ``length``: it does not say how long it is."""
    headers = [(b"content-length", b"%d" % length)] if length is not None else []
    headers = headers or [(b"transfer-encoding", b"chunked")]
    coming = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    return await _answers(application, headers, [*coming, {"type": "http.request"}])


async def _answers(
    application: Reads, headers: list[tuple[bytes, bytes]], messages: Iterable[Any]
) -> list[Any]:
    left, sent = list(messages), []

    async def receive() -> Any:
        if not left:
            await asyncio.Event().wait()  # nothing comes any more
        return left.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/v1/completions", "headers": headers}
    await Bodies(application, most=MOST)(scope, receive, send)
    return sent


async def test_a_body_within_the_limits_passes_as_it_is() -> None:
    assert (await post(reads := Reads(), b"12345", b"67890", length=10))[0]["status"] == 200
    assert reads.read == b"1234567890"


async def test_a_request_without_a_body_is_not_touched() -> None:
    assert (await _answers(Reads(), [], [{"type": "http.request"}]))[0]["status"] == 200


async def test_what_announces_too_much_is_refused_unread() -> None:
    start, body = await post(reads := Reads(), length=MOST + 1)
    assert (start["status"], reads.read) == (413, None)
    assert json.loads(body["body"])["error"]["code"] == "request_too_large"


@pytest.mark.parametrize("length", [None, 5])
async def test_what_turns_out_too_much_is_refused(length: int | None) -> None:
    start, _ = await post(reads := Reads(), b"123456", b"78901", b"2", length=length)
    assert (start["status"], reads.read) == (413, None)
    assert (b"connection", b"close") in start["headers"]


async def test_a_body_that_stops_coming_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "GRACE", 0.01)
    headers = [(b"content-length", b"10")]
    part = {"type": "http.request", "body": b"1", "more_body": True}
    start, body = await _answers(reads := Reads(), headers, [part])
    assert (start["status"], reads.read) == (408, None)
    assert json.loads(body["body"])["error"]["code"] == "request_timeout"
