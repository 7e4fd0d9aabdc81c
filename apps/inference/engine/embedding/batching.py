"""Which inputs are computed together. Pure Python, knows no MLX.

Inputs wait by call and by client. A batch begins with the longest input of the call
whose turn it is and is filled with such of like length, of the same model, whoever
asked: inputs in a batch are padded to the longest, and padding is computed as well.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from apps.inference.engine.protocol import Embed
from apps.inference.engine.sequence import Call
from apps.inference.engine.tokens import Tokens

if TYPE_CHECKING:  # it brings MLX
    from apps.inference.engine.embedding.model import EmbeddingModel

_ALIKE = 2
"""An input comes along with one that is up to this many times as long."""


@dataclass(frozen=True)
class Input:
    job: EmbedJob
    index: int
    """In its call, from 0."""
    tokens: Tokens


@dataclass(eq=False)
class EmbedJob:
    """A call, and which of its inputs wait; those are sorted by length, the longest last."""

    call: Call
    model: EmbeddingModel
    client: str
    dimensions: int | None
    prompt_tokens: int
    waiting: list[Input] = field(default_factory=list)
    left: int = 0
    """Inputs whose vectors are not told yet."""

    @classmethod
    def of(cls, request: Embed, call: Call, model: EmbeddingModel) -> EmbedJob:
        """The job for a request whose inputs are tokens."""
        inputs = [tokens for tokens in request.inputs if not isinstance(tokens, str)]
        assert len(inputs) == len(request.inputs)
        job = cls(call, model, request.client, request.dimensions, sum(map(len, inputs)))
        job.waiting = sorted(
            (Input(job, index, tokens) for index, tokens in enumerate(inputs)),
            key=_length,
        )
        job.left = len(inputs)
        return job

    def take_fitting(self, width: int) -> Input | None:
        """The longest input that waits and is like ``width``, but not longer."""
        place = bisect_right(self.waiting, width, key=_length)
        if place == 0 or _length(self.waiting[place - 1]) * _ALIKE < width:
            return None
        return self.waiting.pop(place - 1)


class EmbedLine:
    """The calls that have inputs waiting. Clients take turns, and so do each client's calls."""

    def __init__(self) -> None:
        self._clients: OrderedDict[str, deque[EmbedJob]] = OrderedDict()

    def __iter__(self) -> Iterator[EmbedJob]:
        """All of them, in the order of their turns; they may leave on the way."""
        for jobs in list(self._clients.values()):
            yield from list(jobs)

    def join(self, job: EmbedJob) -> None:
        self._clients.setdefault(job.client, deque()).append(job)

    def leave(self, job: EmbedJob) -> None:
        """One that left already is no error."""
        jobs = self._clients.get(job.client)
        if jobs is None or job not in jobs:
            return
        jobs.remove(job)
        if not jobs:
            del self._clients[job.client]

    def next_batch(self, max_tokens: int) -> list[Input]:
        """Inputs that are computed together: padded at most ``max_tokens``, or a single one."""
        first = next(iter(self), None)
        if first is None:
            return []
        batch = [first.waiting.pop()]
        width = max(1, len(batch[0].tokens))
        for job in self:
            if job.model is not first.model or job.dimensions != first.dimensions:
                continue
            while (len(batch) + 1) * width <= max_tokens:
                found = job.take_fitting(width)
                if found is None:
                    break
                batch.append(found)
        self._settle(first)
        return batch

    def _settle(self, first: EmbedJob) -> None:
        """Who has nothing waiting leaves; who had the turn goes to the end."""
        jobs = self._clients[first.client]
        jobs.rotate(-1)
        self._clients.move_to_end(first.client)
        for job in self:
            if not job.waiting:
                self.leave(job)


def _length(one: Input) -> int:
    return len(one.tokens)
