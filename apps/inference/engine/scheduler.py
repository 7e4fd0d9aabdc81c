"""The scheduler: who computes what in the next step. Pure Python, knows no MLX.

Contracts
- ``submit`` queues a sequence or raises QueueFull; nothing else raises.
- ``schedule`` names the next step's work: at most one model, a chunk of one
  prompt or the short remainders of several, and every decoding row of that model.
- A sequence is in exactly one of waiting, prefill, decode until ``finish``.
- Clients take turns: a client with many waiting requests gets no more turns
  than one with a single request. Nobody overtakes a request that waits for room.
- Batch work is taken up while no interactive request waits, and gives its place to
  one that finds no room. Batch work that waited for long counts as interactive, so
  that it comes to its turn on a busy machine too.
- Several prompts are prefilled in turns, so that a short one need not wait for a
  long one. A prompt that shares a long beginning with one in prefill waits for
  it instead: it will find the shared KV in the prompt cache.
- A sequence is admitted while the KV tokens reserved by a model's sequences stay
  within ``kv_budget(model)``; to an idle engine, one always is. Where answers grow
  past it, the one that came last loses its place and goes to the front of its queue.
"""

from __future__ import annotations

import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from apps.inference.engine.errors import QueueFull
from apps.inference.engine.sequence import Phase, Sequence
from apps.inference.engine.tokens import Tokens, agreement
from apps.inference.engine.waiting import WaitingLine

RETRY_AFTER = 5.0
"""Seconds a caller is asked to wait when the queue is full."""

PATIENCE = 60.0
"""Seconds of waiting after which batch work counts as interactive."""

_SHORT_TOKENS = 64
"""Rests of prompts up to this length are prefilled together."""

_WORTH_WAITING_TOKENS = 64
"""A shared beginning of this length costs more to compute twice than to wait for."""

_SCORED_TOKENS = 128
"""Of a prompt that is scored, per step: there are logits for each, the whole vocabulary wide."""


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
    def tokens(self) -> Tokens:
        return self.sequence.to_prefill[self.start : self.stop]

    @property
    def is_last(self) -> bool:
        return self.stop == len(self.sequence.to_prefill)

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
    preempted: tuple[Sequence, ...] = ()
    """They lost their place, of whatever model: what the engine holds of them goes."""


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
    def __init__(
        self,
        limits: Limits,
        kv_budget: Callable[[str], int],
        *,
        padding_allowed: Callable[[str], int] = lambda model: sys.maxsize,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``kv_budget``: the KV tokens that a model's sequences may hold together.

        ``padding_allowed``: how many of them a batch may waste on padding its rows.
        """
        self._limits = limits
        self._kv_budget = kv_budget
        self._padding_allowed = padding_allowed
        self._clock = clock
        self._interactive = WaitingLine()
        self._batch = WaitingLine()
        self._running: OrderedDict[str, list[Sequence]] = OrderedDict()

    @property
    def queued(self) -> int:
        return len(self._interactive) + len(self._batch)

    @property
    def active(self) -> int:
        return sum(len(rows) for rows in self._running.values())

    def __iter__(self) -> Iterator[Sequence]:
        """Every sequence that is not finished."""
        for rows in self._running.values():
            yield from rows
        yield from self._interactive
        yield from self._batch

    def uses(self, model: str) -> bool:
        return any(sequence.model == model for sequence in self)

    def reserved_tokens(self, model: str) -> int:
        """KV tokens that the model's running sequences may come to hold."""
        return self._padded(model, self._running.get(model, []))

    def _padded(self, model: str, rows: Collection[Sequence]) -> int:
        """What these rows may come to hold at most, with their batches' padding.

        A batch keeps as many tokens for each row as for its longest, as long as that
        is not too much padding; it has two rows at least.
        """
        lengths = [row.reserved_tokens for row in rows]
        if len(rows) < 2:
            return sum(lengths)
        in_groups = sum(lengths) + len(rows) // 2 * self._padding_allowed(model)
        return min(len(rows) * max(lengths), in_groups)

    def submit(self, sequence: Sequence) -> None:
        if self.queued >= self._limits.max_queue:
            raise QueueFull(
                f"{self.queued} requests are waiting already. Try again in {RETRY_AFTER:.0f} s.",
                retry_after=RETRY_AFTER,
            )
        self._line(sequence).join(sequence)

    def finish(self, sequence: Sequence) -> None:
        """Forget a sequence, wherever it is."""
        if sequence.phase is Phase.WAITING:
            self._line(sequence).leave(sequence)
        elif sequence.phase is not Phase.FINISHED:
            self._stop_running(sequence)
        sequence.phase = Phase.FINISHED

    def schedule(self) -> Plan | None:
        """The next step, or None where there is nothing to do."""
        preempted = self._shrink()
        while self._admit(preempted):
            pass
        if not self._running:
            return None
        # Models take turns, each with one step.
        model = next(iter(self._running))
        self._running.move_to_end(model)
        rows = self._running[model]
        prefilling = [row for row in rows if row.phase is Phase.PREFILL]
        return Plan(
            model=model,
            prefilling=tuple(sorted(prefilling, key=self._gives_way)),
            decoding=tuple(row for row in rows if row.phase is Phase.DECODE),
            preempted=tuple(preempted),
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
        for sequence in others if turn.scored is None else ():
            if sequence.scored is not None:
                continue
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

    # --- coming in ----------------------------------------------------------

    def _admit(self, preempted: list[Sequence]) -> bool:
        """Move one waiting sequence into prefill, in the order of their turns."""
        full: set[str] = set()
        for head in self._heads():
            if head.model in full or head in preempted or self._is_computed_elsewhere(head):
                continue
            if not self._gives_way(head):
                self._clear_for(head, preempted)
            if not self._has_place(head):
                full.add(head.model)
                continue
            if not self._has_memory(head):
                # All models share the memory: whoever came in now would keep it waiting.
                return False
            self._line(head).take(head)
            head.take_place(self._clock())
            self._running.setdefault(head.model, []).append(head)
            return True
        return False

    def _heads(self) -> list[Sequence]:
        """Who may come in next: batch work last, unless it waited for long."""
        batch = sorted(self._batch.heads(), key=self._gives_way)
        patient = [head for head in batch if not self._gives_way(head)]
        return [*patient, *self._interactive.heads(), *batch[len(patient) :]]

    def _gives_way(self, sequence: Sequence) -> bool:
        return sequence.batch and sequence.waited_until(self._clock()) < PATIENCE

    def _has_place(self, sequence: Sequence, gone: Collection[Sequence] = ()) -> bool:
        """Whether its model's batch has a place, or would have without those that are ``gone``."""
        rows = self._rows(sequence.model, gone)
        prefills = sum(row.phase is Phase.PREFILL for row in rows)
        return len(rows) < self._limits.max_batch and prefills < self._limits.max_prefills

    def _has_memory(self, sequence: Sequence, gone: Collection[Sequence] = ()) -> bool:
        """Whether there is room for its KV, or would be without those that are ``gone``."""
        if self.active == len(gone):
            return True
        rows = [*self._rows(sequence.model, gone), sequence]
        return self._padded(sequence.model, rows) <= self._kv_budget(sequence.model)

    def _rows(self, model: str, gone: Collection[Sequence]) -> list[Sequence]:
        return [row for row in self._running.get(model, []) if row not in gone]

    # --- losing a place -----------------------------------------------------

    def _shrink(self) -> list[Sequence]:
        """Preempt the youngest answers where they have grown past the budget."""
        preempted: list[Sequence] = []
        for model in list(self._running):
            while (victim := self._overgrown(model)) is not None:
                self._preempt(victim)
                preempted.append(victim)
        return preempted

    def _overgrown(self, model: str) -> Sequence | None:
        """Who of a model's sequences has to go for the budget to hold; batch work first.

        The eldest of all stays: so there is always one that gets to its end.
        """
        if self.reserved_tokens(model) <= self._kv_budget(model):
            return None
        eldest = min(row.id for rows in self._running.values() for row in rows)
        young = [row for row in self._running.get(model, []) if row.id != eldest]
        return max(young, key=lambda row: (self._gives_way(row), row.id), default=None)

    def _clear_for(self, sequence: Sequence, preempted: list[Sequence]) -> None:
        """Preempt batch work, the youngest first, until an interactive sequence fits.

        Where even all of it would not be enough, it keeps its places.
        """
        rows = self._running.get(sequence.model, [])
        victims = sorted(filter(self._gives_way, rows), key=lambda row: row.id)
        if not (self._has_place(sequence, victims) and self._has_memory(sequence, victims)):
            return
        while victims and not (self._has_place(sequence) and self._has_memory(sequence)):
            preempted.append(victims.pop())
            self._preempt(preempted[-1])

    def _preempt(self, sequence: Sequence) -> None:
        self._stop_running(sequence)
        sequence.lose_place(self._clock())
        self._line(sequence).rejoin(sequence)

    # ------------------------------------------------------------------------

    def _line(self, sequence: Sequence) -> WaitingLine:
        return self._batch if sequence.batch else self._interactive

    def _stop_running(self, sequence: Sequence) -> None:
        rows = self._running[sequence.model]
        rows.remove(sequence)
        if not rows:
            del self._running[sequence.model]

    def _is_computed_elsewhere(self, sequence: Sequence) -> bool:
        """Whether a prompt in prefill is computing KV that this one could reuse."""
        for row in self._running.get(sequence.model, []):
            if row.phase is Phase.PREFILL and row.namespace == sequence.namespace:
                shared = agreement(row.to_prefill, sequence.to_prefill)
                if shared - row.cached >= _WORTH_WAITING_TOKENS:
                    return True
        return False


def _next_chunk(sequence: Sequence, size: int) -> Chunk:
    start = sequence.computed
    ends = [stop for stop in (*sequence.stops, len(sequence.to_prefill)) if stop > start]
    if sequence.scored is not None:
        size = min(size, _SCORED_TOKENS)
    return Chunk(sequence, start, min([start + size, *ends]))
