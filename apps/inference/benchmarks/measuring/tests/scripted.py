"""A scripted OpenAI-compatible server on a clock of its own: no socket, no waiting."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2

from apps.inference.benchmarks.measuring.client import ChatServer


@dataclass
class Clock:
    """Seconds that pass when a script says so."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Script:
    """One answer: seconds before each piece of text, and what the server tells about it."""

    pieces: list[tuple[float, str]] = field(default_factory=lambda: [(0.5, "Hello"), (0.1, " you")])
    usage: dict[str, Any] | None = None
    error: str = ""
    """Sent in place of the rest of the answer."""


def plain(prompt_tokens: int, cached: int = 0, tokens: int = 2) -> Script:
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": tokens,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    return Script(usage=usage)


class ScriptedServer:
    """Answers with what ``script`` makes of each request's body, and keeps the requests."""

    def __init__(self, script: Callable[[dict[str, Any]], Script | httpx2.Response]) -> None:
        self.clock = Clock()
        self.requests: list[httpx2.Request] = []
        self.context_length: int | None = None
        self._script = script

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(each.content) for each in self.requests if each.method == "POST"]

    def client(self, **options: Any) -> ChatServer:
        transport = httpx2.MockTransport(self._answer)
        return ChatServer(
            "http://server.test", "m", transport=transport, clock=self.clock, **options
        )

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if request.method == "GET":
            return self._models()
        outcome = self._script(json.loads(request.content))
        if isinstance(outcome, httpx2.Response):
            return outcome
        headers = {"content-type": "text/event-stream; charset=utf-8"}
        return httpx2.Response(200, headers=headers, content=self._events(outcome))

    def _models(self) -> httpx2.Response:
        if self.context_length is None:
            return httpx2.Response(404)
        models = [{"id": "other"}, {"id": "m", "max_model_len": self.context_length}]
        return httpx2.Response(200, json={"data": models})

    async def _events(self, script: Script) -> AsyncIterator[bytes]:
        yield _event({"choices": [{"delta": {"role": "assistant"}}]})
        for wait, text in script.pieces:
            self.clock.now += wait
            yield _event({"choices": [{"delta": {"content": text}}]})
        if script.error:
            yield _event({"error": {"message": script.error}})
        if script.usage:
            yield _event({"choices": [], "usage": script.usage})
        yield b"data: [DONE]\n\n"


def _event(chunk: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(chunk)}\n\n".encode()
