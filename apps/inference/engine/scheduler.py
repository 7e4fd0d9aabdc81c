"""The scheduler: who computes what in the next step. Pure Python, knows no MLX.

Contracts
- ``submit`` queues a sequence or raises QueueFull; nothing else raises.
- ``schedule`` names the next step's work: at most one model, a chunk of one
  prompt or the short remainders of several, and every decoding row of that model.
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


_SHORT_TOKENS = 64
"""Rests of prompts up to this length are prefilled together."""

_WORTH_WAITING_TOKENS = 64
"""A shared beginning of this length costs more to compute twice than to wait for."""


@dataclass(frozen=True)
class Chunk:
    """Prompt tokens ``start`` to ``stop`` of a sequence, to be prefilled."""

    sequence: Sequence
    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start

    @property
    def is_last(self) -> bool:
        return self.stop == len(self.sequence.prompt)

    @property
    def starts_answer(self) -> bool:
        """Whether its last logits give the answer's first token; a warm-up has none."""
        return self.is_last and self.sequence.max_tokens > 0


@dataclass(frozen=True)
class Plan:
    """One step's work for one model."""

    model: str
    prefilling: tuple[Sequence, ...]
    """In the order of their turns."""
    decoding: tuple[Sequence, ...]


@dataclass(frozen=True)
class Limits:
    max_batch: int
    max_queue: int
    chunk_tokens: int
    """Prompt tokens per step while nothing decodes."""
    busy_chunk_tokens: int
    """Prompt tokens per step while other answers wait for their next token."""
    max_prefills: int = 8
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
        while self._admit():
            pass
        if not self._running:
            return None
        # Models take turns, each with one step.
        model = next(iter(self._running))
        self._running.move_to_end(model)
        rows = self._running[model]
        return Plan(
            model=model,
            prefilling=tuple(row for row in rows if row.phase is Phase.PREFILL),
            decoding=tuple(row for row in rows if row.phase is Phase.DECODE),
        )

    def chunks(self, plan: Plan) -> tuple[Chunk, ...]:
        """What to prefill in this step, once it is known what was cached of each prompt.

        One chunk of the prompt whose turn it is. Where that is the short rest of
        it, the short rests of others come along in the same forward pass: that
        costs little more than one of them alone.
        """
        if not plan.prefilling:
            return ()
        limits = self._limits
        budget = limits.busy_chunk_tokens if plan.decoding else limits.chunk_tokens
        turn, *others = plan.prefilling
        first = _next_chunk(turn, budget)
        chunks = [first]
        longest = first.length
        for sequence in others:
            chunk = _next_chunk(sequence, budget)
            widest = max(longest, chunk.length)
            fits = widest * (len(chunks) + 1) <= budget and widest <= _SHORT_TOKENS
            if fits and chunk.starts_answer and first.starts_answer:
                chunks.append(chunk)
                longest = widest
        return tuple(chunks)

    def prefilled(self, chunk: Chunk) -> None:
        """Note that a chunk is computed; the sequence's next turn comes after the others'."""
        sequence = chunk.sequence
        sequence.computed = chunk.stop
        rows = self._running[sequence.model]
        rows.remove(sequence)
        rows.append(sequence)
        if chunk.is_last:
            sequence.phase = Phase.DECODE

    def _admit(self) -> bool:
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
            return True
        return False

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


def _next_chunk(sequence: Sequence, size: int) -> Chunk:
    start = sequence.computed
    ends = [stop for stop in (*sequence.stops, len(sequence.prompt)) if stop > start]
    return Chunk(sequence, start, min([start + size, *ends]))
