"""What is known of one request while it is being answered; in the end, its record.

``generation.answers`` tells it what the engine is asked and says, for every dialect.
What goes another way to the engine (embeddings, ranking) calls ``counted``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from apps.inference.client import EngineError
from apps.inference.engine.protocol import (
    Delta,
    Done,
    Event,
    Generate,
    Prompt,
    Reasoning,
    ToolCallArguments,
    ToolCallStart,
)
from apps.inference.usage.models import RequestRecord
from apps.observability.instruments import BETWEEN_TOKENS, ERRORS, FIRST_TOKEN, count_answer

CLIENT_LEFT = 499
"""nginx's status for a client that went before it was answered."""

MAX_LOGGED_CHARACTERS = 100_000
"""Of a request's text and of its answer's, each."""

_PIECES = (Delta, Reasoning, ToolCallStart, ToolCallArguments)


@dataclass
class Tally:
    """One request, from its first byte to its last. Only its own call writes to it."""

    endpoint: str = ""
    """Empty: nothing that is recorded."""
    created_at: datetime = field(default_factory=timezone.now)
    began: float = field(default_factory=time.monotonic)
    model: str = ""
    adapter: str = ""
    status: int = CLIENT_LEFT
    error_code: str = ""
    streamed: bool = False
    client_left: bool = False
    _prompts: dict[int, Prompt] = field(default_factory=dict)
    _pieces: dict[int, int] = field(default_factory=dict)
    _ends: dict[int, Done] = field(default_factory=dict)
    _first_piece_at: float | None = None
    _piece_at: dict[int, float] = field(default_factory=dict)
    _request_text: str = ""
    _answer_text: list[str] | None = None
    _counted: int = 0

    # --- what it is told ------------------------------------------------------

    def named(self, model: str, adapter: str = "") -> None:
        """Which model the request is for."""
        self.model, self.adapter = model, adapter

    def counted(self, prompt_tokens: int, *, model: str) -> None:
        """Tokens that ``model`` read for a request that is not answered by generating."""
        self.named(model)
        self._counted += prompt_tokens

    def keep_text(self, body: bytes) -> None:
        """Record what was said, too: the request as it came, and its first answer."""
        self._request_text = _storable(body[:MAX_LOGGED_CHARACTERS].decode(errors="replace"))
        self._answer_text = []

    def failed(self, code: str | None) -> None:
        """The request ended in an error of this code."""
        self.error_code = code or ""

    def answered(self, status: int, *, streamed: bool) -> None:
        """Its response began."""
        self.status, self.streamed = status, streamed

    @contextmanager
    def asking(self, requests: Sequence[Generate]) -> Iterator[None]:
        """Around the engine's answers: how they end."""
        first = requests[0]
        self.named(first.model.name, first.adapter.name if first.adapter else "")
        try:
            yield
        except EngineError as error:
            self.failed(error.code)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            self.client_left = len(self._ends) < len(requests)
            raise

    async def hearing(
        self, events: AsyncIterator[tuple[int, Event]]
    ) -> AsyncGenerator[tuple[int, Event], None]:
        """``events`` as they come, counted on their way."""
        async for index, event in events:
            self._hear(index, event)
            yield index, event

    def _hear(self, index: int, event: Event) -> None:
        if isinstance(event, _PIECES):
            self._hear_piece(index)
            self._pieces[index] = self._pieces.get(index, 0) + 1
            if self._answer_text is not None and isinstance(event, Delta) and index == 0:
                self._answer_text.append(event.text)
        elif isinstance(event, Prompt):
            self._prompts[index] = event
        elif isinstance(event, Done):
            self._ends[index] = event

    def _hear_piece(self, index: int) -> None:
        now = time.monotonic()
        if self._first_piece_at is None:
            self._first_piece_at = now
            FIRST_TOKEN.labels("api").observe(now - self.began)
        if (last := self._piece_at.get(index)) is not None:
            BETWEEN_TOKENS.labels("api").observe(now - last)
        self._piece_at[index] = now

    # --- what it comes to -----------------------------------------------------

    @property
    def prompt_tokens(self) -> int:
        """Of the longest answer's prompt where several share one; of all prompts elsewhere."""
        return self._counted + max(
            (each.prompt_tokens for each in self._prompts.values()), default=0
        )

    @property
    def completion_tokens(self) -> int:
        """As the engine says; for an answer that was cut off, the pieces that came of it."""
        return sum(
            self._ends[index].usage.completion_tokens
            if index in self._ends
            else self._pieces.get(index, 0)
            for index in self._prompts
        )

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def cached_tokens(self) -> int:
        return min((each.cached_tokens for each in self._prompts.values()), default=0)

    def _count(self) -> None:
        if self.error_code:
            ERRORS.labels(self.error_code).inc()
        count_answer(
            "api",
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            completion_tokens=self.completion_tokens,
        )

    def record(self, *, key_id: int | None) -> RequestRecord:
        """The record of the request, which has ended now; not saved yet."""
        self._count()
        first = self._first_piece_at
        rates = [end.timings.tokens_per_second for end in self._ends.values()]
        return RequestRecord(
            created_at=self.created_at,
            key_id=key_id,
            model=self.model[:200],
            adapter=self.adapter[:120],
            endpoint=self.endpoint[:120],
            status=self.status,
            error_code=self.error_code[:60],
            finish_reason=self._ends[0].finish_reason if 0 in self._ends else "",
            streamed=self.streamed,
            client_left=self.client_left or self.status == CLIENT_LEFT,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            completion_tokens=self.completion_tokens,
            time_to_first_token=None if first is None else first - self.began,
            tokens_per_second=sum(rates) or None,
            duration=time.monotonic() - self.began,
            request_text=self._request_text,
            answer_text=_storable("".join(self._answer_text or ()))[:MAX_LOGGED_CHARACTERS],
        )


def _storable(text: str) -> str:
    """PostgreSQL takes no NUL."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


_current: ContextVar[Tally | None] = ContextVar("request_tally", default=None)


def current_tally() -> Tally:
    """That of the request that is being answered; elsewhere one that nobody reads."""
    return _current.get() or Tally()


def set_tally(tally: Tally) -> None:
    """From here on in this request; for the middleware alone."""
    _current.set(tally)
