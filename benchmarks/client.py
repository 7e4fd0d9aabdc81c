"""The client of `mlx-hub bench`, for suites that wait for their answers. Safe from any thread."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.inference.benchmarks.measuring import client as measuring
from apps.inference.benchmarks.measuring.client import ANSWER_SECONDS
from apps.inference.benchmarks.measuring.prompts import Chat

__all__ = ["ANSWER_SECONDS", "Answer", "Chat", "ChatServer"]


@dataclass(frozen=True)
class Answer:
    """Times are seconds on the clock of ``time.perf_counter``; what was not told counts as 0."""

    asked_at: float
    token_times: list[float]
    text: str
    prompt_tokens: int
    cached_tokens: int

    @property
    def time_to_first_token(self) -> float:
        return self.token_times[0] - self.asked_at


@dataclass(frozen=True)
class ChatServer:
    """A server on this machine."""

    port: int
    model: str

    def ask(self, messages: Chat, *, max_tokens: int) -> Answer:
        """One streamed greedy answer. Raises MeasuringError."""
        return self.ask_together([messages], max_tokens=max_tokens)[0]

    def ask_together(self, chats: list[Chat], *, max_tokens: int) -> list[Answer]:
        """All at the same time, each over a connection of its own. Raises MeasuringError."""
        return [_counted(answer) for answer in asyncio.run(self._ask(chats, max_tokens))]

    def ask_mixed(
        self, chats: list[Chat], options: list[Mapping[str, Any]], *, max_tokens: int
    ) -> list[Answer]:
        """``ask_together``, each with options of its own. Raises MeasuringError."""
        return [_counted(a) for a in asyncio.run(self._ask_mixed(chats, options, max_tokens))]

    async def _ask_mixed(
        self, chats: list[Chat], options: list[Mapping[str, Any]], max_tokens: int
    ) -> list[measuring.Answer]:
        async with measuring.ChatServer(f"http://127.0.0.1:{self.port}/v1", self.model) as server:
            asked = [
                server.ask(chat, max_tokens=max_tokens, options=own)
                for chat, own in zip(chats, options, strict=True)
            ]
            return await asyncio.gather(*asked)

    async def _ask(self, chats: list[Chat], max_tokens: int) -> list[measuring.Answer]:
        async with measuring.ChatServer(f"http://127.0.0.1:{self.port}/v1", self.model) as server:
            return await server.ask_together(chats, max_tokens=max_tokens)


def _counted(answer: measuring.Answer) -> Answer:
    return Answer(
        answer.asked_at,
        answer.token_times,
        answer.text,
        answer.prompt_tokens or 0,
        answer.cached_tokens or 0,
    )
