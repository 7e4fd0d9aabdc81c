"""Calls that compute are let in up to a number, and the rest turned away at once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from apps.inference.api.door import COMPUTING, Door


class Answers:
    """An application that reads its calls, which then go on until they are told to end."""

    def __init__(self) -> None:
        self.inside = 0
        self.end = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if (await receive())["type"] == "http.disconnect":
            return
        self.inside += 1
        await self.end.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def call(door: Door, path: str, method: str = "POST") -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}"}

    await door({"type": "http", "method": method, "path": path}, receive, send)
    return sent


async def test_one_too_many_is_turned_away_with_a_time_to_come_back() -> None:
    door = Door(answers := Answers(), places=2)
    inside = [asyncio.create_task(call(door, "/v1/completions")) for _ in range(2)]
    while answers.inside < 2:
        await asyncio.sleep(0)
    start, body = await call(door, "/v1/chat/completions")
    assert start["status"] == 429
    assert dict(start["headers"])[b"retry-after"] == b"5"
    assert json.loads(body["body"])["error"]["code"] == "queue_full"
    answers.end.set()
    await asyncio.gather(*inside)
    assert (await call(door, "/v1/chat/completions"))[0]["status"] == 200


async def test_a_call_that_is_turned_away_is_not_read() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError

    scope = {"type": "http", "method": "POST", "path": "/v1/completions"}
    await Door(Answers(), places=0)(scope, receive, send)
    assert sent[0]["status"] == 429


async def test_a_body_that_does_not_end_keeps_nobody_out() -> None:
    door = Door(answers := Answers(), places=1)
    rest = asyncio.Event()
    sent: list[Any] = []

    async def receive() -> Any:
        await rest.wait()
        return {"type": "http.request", "body": b"{}"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/completions"}
    slow = asyncio.create_task(door(scope, receive, send))
    quick = asyncio.create_task(call(door, "/v1/completions"))
    while answers.inside < 1:
        await asyncio.sleep(0)

    rest.set()
    await slow
    assert sent[0]["status"] == 429  # meanwhile another one has the place
    answers.end.set()
    assert (await quick)[0]["status"] == 200


async def test_anthropics_clients_are_told_in_their_dialect() -> None:
    _, body = await call(Door(Answers(), places=0), "/v1/messages")
    assert json.loads(body["body"])["type"] == "error"


async def test_what_does_not_compute_is_always_let_in() -> None:
    door = Door(answers := Answers(), places=0)
    answers.end.set()
    for method, path in (("GET", "/v1/models"), ("POST", "/playground/"), ("GET", "/v1/responses")):
        assert (await call(door, path, method))[0]["status"] == 200


async def test_a_call_that_fails_gives_its_place_back() -> None:
    async def fails(scope: Any, receive: Any, send: Any) -> None:
        raise ConnectionError

    door = Door(fails, places=1)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            await call(door, "/v1/embeddings")


def test_every_route_that_computes_is_behind_the_door(client: Any, db: None) -> None:
    paths = client.get("/v1/openapi.json").json()["paths"]
    posts = {path.rstrip("/") for path, methods in paths.items() if "post" in methods}
    computing = {path for path in posts if "{" not in path and not path.endswith(_CHEAP)}
    assert computing == COMPUTING


_CHEAP = ("/count_tokens", "/tokenize", "/detokenize")
