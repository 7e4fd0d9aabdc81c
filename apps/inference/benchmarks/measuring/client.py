"""An OpenAI-compatible server as a benchmark sees it: questions in, times out."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx2

from apps.inference.benchmarks.measuring.address import base_url, host_of, is_loopback
from apps.inference.benchmarks.measuring.errors import (
    MeasuringError,
    NotStreaming,
    ServerRefused,
    ServerSilent,
    ServerUnreachable,
)
from apps.inference.benchmarks.measuring.prompts import Chat

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 600.0
"""For one whole answer; a model may have to be loaded for it."""

_PIECES = ("content", "reasoning_content", "reasoning")
"""Where servers put the text of a piece; thinking takes as long as saying."""

_NONE: Mapping[str, Any] = {}

_CONTEXT_FIELDS = ("context_length", "max_model_len", "max_context_length")
"""Where servers say how long a model's context is: this hub, vLLM, LM Studio."""


@dataclass
class Answer:
    """Times are seconds on the client's clock. What the server does not tell is None."""

    asked_at: float
    token_times: list[float] = field(default_factory=list)
    """When each piece of text came; most servers send one for each token."""
    text: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None

    @property
    def time_to_first_token(self) -> float:
        return self.token_times[0] - self.asked_at


class ChatServer:
    """A model behind a base URL. An asynchronous context manager: leaving it closes connections.

    ``transport`` and ``clock`` are for tests.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        api_key: str | None = None,
        answer_seconds: float = ANSWER_SECONDS,
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.url = base_url(url)
        self.model = model
        self._clock = clock
        self._answer_seconds = answer_seconds
        self._http = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {api_key}"} if api_key else None,
            timeout=httpx2.Timeout(answer_seconds, connect=CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=None),
            # A proxy between two processes of one machine is never what is to be measured.
            trust_env=not is_loopback(self.url),
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, traceback)

    async def ask(
        self, messages: Chat, *, max_tokens: int, options: Mapping[str, Any] = _NONE
    ) -> Answer:
        """One streamed greedy answer, with more ``options`` of the request's. Raises MeasuringError."""
        body = {
            "model": self.model,
            "messages": messages,
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
            **options,
        }
        answer = Answer(self._clock())
        async with self._translated(), asyncio.timeout(self._answer_seconds):
            url = f"{self.url}/chat/completions"
            async with self._http.stream("POST", url, json=body) as response:
                await self._check(response)
                async for line in response.aiter_lines():
                    self._take(answer, line)
        if not answer.token_times:
            raise ServerRefused(f"{self._named} ended its answer without any text.")
        return answer

    async def ask_together(self, chats: Sequence[Chat], *, max_tokens: int) -> list[Answer]:
        """All at the same time, each over a connection of its own. Raises MeasuringError."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self.ask(chat, max_tokens=max_tokens)) for chat in chats]
        except* MeasuringError as failures:
            # One of them tells it; the others were cancelled or failed alike.
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]

    async def context_length(self) -> int | None:
        """How many tokens the model's context holds; None where the server does not say."""
        try:
            async with self._translated():
                response = await self._http.get(f"{self.url}/models")
                models = response.json()["data"] if response.is_success else []
            found = next(each for each in models if each["id"] == self.model)
            lengths = [found.get(name) for name in _CONTEXT_FIELDS]
        except (MeasuringError, StopIteration, ValueError, TypeError, KeyError, AttributeError):
            # Many servers have no such list, or one of their own making.
            return None
        return next((length for length in lengths if isinstance(length, int)), None)

    @property
    def _named(self) -> str:
        return f"The server at {host_of(self.url)}"

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        """httpx's errors as this package's."""
        try:
            yield
        except (TimeoutError, httpx2.ReadTimeout) as error:
            raise ServerSilent(
                f"{self._named} did not finish an answer within {self._answer_seconds:g} s."
            ) from error
        except httpx2.ConnectError as error:
            raise ServerUnreachable(
                f"Nothing answers at {self.url}: {error}. Check the address, and that the "
                "server is running."
            ) from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise ServerUnreachable(f"The connection to {self.url} broke: {reason}.") from error

    async def _check(self, response: httpx2.Response) -> None:
        """Raises unless a stream of events follows."""
        if response.status_code != httpx2.codes.OK:
            text = _reason(await response.aread())
            raise ServerRefused(f"{self._named} answered {response.status_code}: {text}")
        kind = response.headers.get("content-type", "")
        if not kind.startswith("text/event-stream"):
            raise NotStreaming(
                f"{self._named} answered with {kind or 'no content type'} where a stream of "
                "events was asked for. Only servers that stream can be measured."
            )

    def _take(self, answer: Answer, line: str) -> None:
        if not line.startswith("data:") or line.endswith("[DONE]"):
            return
        now = self._clock()
        chunk = self._decoded(line.removeprefix("data:"))
        if "error" in chunk:
            raise ServerRefused(f"{self._named} broke off: {_message(chunk['error'])}")
        if text := _text(chunk):
            answer.token_times.append(now)
            answer.text += text
        if usage := chunk.get("usage"):
            answer.prompt_tokens = usage.get("prompt_tokens")
            answer.completion_tokens = usage.get("completion_tokens")
            details = usage.get("prompt_tokens_details") or {}
            answer.cached_tokens = details.get("cached_tokens")

    def _decoded(self, data: str) -> dict[str, Any]:
        try:
            chunk = json.loads(data)
        except ValueError:
            chunk = None
        if not isinstance(chunk, dict):
            raise NotStreaming(f"{self._named} sent an event that is not JSON: {data[:200]!r}")
        return chunk


def _text(chunk: dict[str, Any]) -> str:
    """The text of a chunk's first choice; empty for one that carries none."""
    choices = chunk.get("choices") or [{}]
    delta = choices[0].get("delta") or {}
    return next((delta[name] for name in _PIECES if delta.get(name)), "")


def _reason(body: bytes) -> str:
    """What an error's body says: OpenAI's message where it has one, else its first characters."""
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return body[:300].decode(errors="replace").strip() or "no reason given."
    return _message(error)


def _message(error: object) -> str:
    return str(error["message"]) if isinstance(error, dict) and "message" in error else str(error)
