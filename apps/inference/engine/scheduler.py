"""The scheduler: who computes what in the next step. Pure Python, knows no MLX.

Contracts
- ``submit`` queues a sequence or raises QueueFull; nothing else raises.
- ``schedule`` names the next step's work: at most one model, at most one chunk
  of one prompt, and every decoding row of that model.
- A sequence is in exactly one of waiting, prefill, decode until ``finish``.
- Clients take turns: a client with many waiting requests gets no more turns
  than one with a single request. Nobody overtakes a request that waits for room.
- Several prompts are prefilled in turns, so that a short one need not wait for a
  long one. A prompt that shares a long beginning with one in prefill waits for
  it instead: it will find the shared KV in the prompt cache.
- A sequence is admitted while the KV tokens reserved by a model's sequences stay
  within ``kv_budget(model)``; to an idle model, one always is.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from apps.inference.engine.errors import QueueFull
from apps.inference.engine.sequence import Phase, Sequence
from apps.inference.engine.tokens import agreement

RETRY_AFTER = 5.0
"""Seconds a caller is asked to wait when the queue is full."""


_WORTH_WAITING_TOKENS = 64
"""A shared beginning of this length costs more to compute twice than to wait for."""


@dataclass(frozen=True)
class Chunk:
    """Prompt tokens ``start`` to ``stop`` of a sequence, to be prefilled."""

    sequence: Sequence
    start: int
    stop: int

    @property
    def is_last(self) -> bool:
        return self.stop == len(self.sequence.prompt)


@dataclass(frozen=True)
class Plan:
    """One step's work for one model."""

    model: str
    prefilling: Sequence | None
    decoding: tuple[Sequence, ...]


@dataclass(frozen=True)
class Limits:
    max_batch: int
    max_queue: int
    chunk_tokens: int
    """Prompt tokens per step while nothing decodes."""
    busy_chunk_tokens: int
    """Prompt tokens per step while other answers wait for their next token."""
    max_prefills: int = 4
    """Prompts that take turns; more of them would only lengthen each other's wait."""


class Scheduler:
    def __init__(self, limits: Limits, kv_budget: Callable[[str], int]) -> None:
        """``kv_budget``: the KV tokens that a model's sequences may hold together."""
        self._limits = limits
        self._kv_budget = kv_budget
        self._waiting: OrderedDict[str, deque[Sequence]] = OrderedDict()
        self._running: OrderedDict[str, list[Sequence]] = OrderedDict()

    @property
    def queued(self) -> int:
        return sum(len(queue) for queue in self._waiting.values())

    @property
    def active(self) -> int:
        return sum(len(rows) for rows in self._running.values())

    def __iter__(self) -> Iterator[Sequence]:
        """Every sequence that is not finished."""
        for rows in self._running.values():
            yield from rows
        for queue in self._waiting.values():
            yield from queue

    def uses(self, model: str) -> bool:
        return any(sequence.model == model for sequence in self)

    def submit(self, sequence: Sequence) -> None:
        if self.queued >= self._limits.max_queue:
            raise QueueFull(
                f"{self.queued} requests are waiting already. Try again in {RETRY_AFTER:.0f} s.",
                retry_after=RETRY_AFTER,
            )
        self._waiting.setdefault(sequence.client, deque()).append(sequence)

    def finish(self, sequence: Sequence) -> None:
        """Forget a sequence, wherever it is."""
        if sequence.phase is Phase.WAITING:
            queue = self._waiting[sequence.client]
            queue.remove(sequence)
            if not queue:
                del self._waiting[sequence.client]
        elif sequence.phase is not Phase.FINISHED:
            rows = self._running[sequence.model]
            rows.remove(sequence)
            if not rows:
                del self._running[sequence.model]
        sequence.phase = Phase.FINISHED

    def schedule(self) -> Plan | None:
        """The next step, or None where there is nothing to do."""
        self._admit()
        if not self._running:
            return None
        # Models take turns, each with one step.
        model = next(iter(self._running))
        self._running.move_to_end(model)
        rows = self._running[model]
        prefilling = next((row for row in rows if row.phase is Phase.PREFILL), None)
        if prefilling is not None:
            rows.remove(prefilling)
            rows.append(prefilling)
        return Plan(
            model=model,
            prefilling=prefilling,
            decoding=tuple(row for row in rows if row.phase is Phase.DECODE),
        )

    def chunk(self, plan: Plan) -> Chunk:
        """The piece of prompt to prefill in this step, once it is known what was cached."""
        sequence = plan.prefilling
        assert sequence is not None
        limits = self._limits
        size = limits.busy_chunk_tokens if plan.decoding else limits.chunk_tokens
        start = sequence.computed
        ends = [stop for stop in (*sequence.stops, len(sequence.prompt)) if stop > start]
        return Chunk(sequence, start, min([start + size, *ends]))

    def prefilled(self, chunk: Chunk) -> None:
        chunk.sequence.computed = chunk.stop
        if chunk.is_last:
            chunk.sequence.phase = Phase.DECODE

    def _admit(self) -> None:
        """Move one waiting sequence into prefill, taking the clients in turn."""
        full: set[str] = set()
        for client in list(self._waiting):
            queue = self._waiting[client]
            model = queue[0].model
            if model in full or self._is_computed_elsewhere(queue[0]):
                continue
            if not self._fits(queue[0]):
                full.add(model)
                continue
            sequence = queue.popleft()
            # The client goes to the back of the line, also where its queue is
            # empty now: it comes back there with its next request.
            del self._waiting[client]
            if queue:
                self._waiting[client] = queue
            sequence.phase = Phase.PREFILL
            self._running.setdefault(sequence.model, []).append(sequence)
            return

    def _fits(self, sequence: Sequence) -> bool:
        rows = self._running.get(sequence.model, [])
        if not rows:
            return True
        if len(rows) >= self._limits.max_batch:
            return False
        if sum(row.phase is Phase.PREFILL for row in rows) >= self._limits.max_prefills:
            return False
        reserved = sum(row.reserved_tokens for row in rows)
        return reserved + sequence.reserved_tokens <= self._kv_budget(sequence.model)

    def _is_computed_elsewhere(self, sequence: Sequence) -> bool:
        """Whether a prompt in prefill is computing KV that this one could reuse."""
        for row in self._running.get(sequence.model, []):
            if row.phase is Phase.PREFILL:
                shared = agreement(row.prompt, sequence.prompt)
                if shared - row.cached >= _WORTH_WAITING_TOKENS:
                    return True
        return False
