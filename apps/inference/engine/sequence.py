"""A sequence: one request from its admission to its last token."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from apps.inference.engine import protocol

_USUAL_ANSWER = 1024
"""Tokens of an answer of usual length."""

_AHEAD = 512
"""Tokens kept free for an answer that has grown longer than that."""

_ids = itertools.count(1)


class Phase(Enum):
    WAITING = "waiting"
    PREFILL = "prefill"
    DECODE = "decode"
    FINISHED = "finished"


class Call:
    """The caller's end: where events go, and whether it still wants them.

    ``emit`` and ``cancelled`` may be used from any thread.
    """

    def __init__(
        self, emit: Callable[[protocol.Event], None], ids: Mapping[str, str] | None = None
    ) -> None:
        """``ids``: whose work it is, for the log."""
        self.emit = emit
        self.ids = ids or {}
        self.asked_at = time.monotonic()
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()


@dataclass(eq=False)
class Sequence:
    """What the scheduler and the runner need to know of a request.

    ``prompt`` and ``generated`` are token ids. ``computed`` counts the tokens,
    of the prompt and then of the answer, that the model's cache has seen;
    ``cached`` those of them that came from the prompt cache.
    """

    model: str
    """Digest of the model; sequences of one model share a batch."""
    client: str
    prompt: tuple[int, ...]
    max_tokens: int
    """0 for a warm-up: prefill only."""
    namespace: str = ""
    """Names the cached KV that it can use: of its model, its adapter and its salt."""
    adapter: str | None = None
    """Digest of the adapter to compute it with."""
    batch: bool = False
    """Work that gives way to what somebody is waiting for."""
    deadline: float | None = None
    """When it has to be finished, on the monotonic clock."""
    scored: int | None = None
    """How many likely tokens to report at each place of the prompt; None: it is not scored."""
    id: int = field(default_factory=lambda: next(_ids))
    phase: Phase = Phase.WAITING
    computed: int = 0
    cached: int = 0
    resumed: int = 0
    """How many tokens of its answer have to be prefilled again, after a preemption."""
    stops: tuple[int, ...] = ()
    """Positions at which a chunk has to end, so that a checkpoint can be taken there."""
    generated: list[int] = field(default_factory=list)
    drafted: int = 0
    """Tokens that a draft model proposed for it; ``accepted`` of them held."""
    accepted: int = 0
    begun: bool = False
    """Whether the runner holds it."""
    submitted_at: float = field(default_factory=time.monotonic)
    waited: float = 0.0
    """Seconds that it waited for the places it had so far."""
    waits_since: float = field(init=False)
    """When it began to wait for its present or next place."""
    started_at: float | None = None
    first_token_at: float | None = None

    def __post_init__(self) -> None:
        self.waits_since = self.submitted_at

    @property
    def to_prefill(self) -> tuple[int, ...]:
        """What the model has to see before the next token: the prompt, and an answer that lost its
        place as far as it had come."""
        return (*self.prompt, *self.generated[: self.resumed]) if self.resumed else self.prompt

    @property
    def reserved_tokens(self) -> int:
        """The KV tokens to keep free for it: its prompt, and an answer of usual length.

        Answers that nobody limited rarely fill the context. Keeping all of it free
        for each would let a large context serve one request at a time.
        """
        answer = max(_USUAL_ANSWER, len(self.generated) + _AHEAD)
        return len(self.prompt) + min(self.max_tokens, answer)

    @property
    def spelled(self) -> tuple[int, ...]:
        """Prompt and answer so far."""
        return (*self.prompt, *self.generated)

    def waited_until(self, now: float) -> float:
        """Seconds that it has waited for a place, all told; being answered does not count."""
        waiting = self.phase is Phase.WAITING
        return self.waited + (now - self.waits_since if waiting else 0.0)

    def take_place(self, now: float) -> None:
        """Be answered from now on."""
        self.waited = self.waited_until(now)
        self.phase = Phase.PREFILL

    def lose_place(self, now: float) -> None:
        """Wait again: what was computed is computed anew, or found in the prompt cache."""
        self.phase, self.waits_since = Phase.WAITING, now
        self.resumed = len(self.generated)
