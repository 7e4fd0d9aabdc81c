"""Embedding on the engine's thread: one forward pass per turn of its loop.

How much goes into a pass is measured, not guessed: as much as the model computes in the
time that running answers can be made to wait.
"""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Generator

import mlx.core as mx
import numpy as np

from apps.inference.engine import protocol
from apps.inference.engine.embedding.batching import EmbedJob, EmbedLine, Input
from apps.inference.engine.embedding.model import EmbeddingModel
from apps.inference.engine.errors import InvalidRequest, defect
from apps.inference.engine.sequence import Call

logger = logging.getLogger(__name__)

_IDLE_SECONDS = 0.25
"""How long a pass may take while nobody waits for an answer's next token."""

_BUSY_SECONDS = 0.05
"""And while somebody does."""

_FIRST_TOKENS = 256
"""Of a model's first pass, when it is not known yet how fast it is."""

_MAX_TOKENS = 8192
"""Of one pass, padding included; what a pass needs in memory was estimated for fewer inputs."""

_RECENT = 0.3
"""How much the newest pass counts in a model's rate."""

Passes = Generator[None, None, mx.array]


class EmbeddingWork:
    """The calls that wait for vectors, and the batch that is being computed."""

    def __init__(self) -> None:
        self._line = EmbedLine()
        self._jobs: list[EmbedJob] = []
        self._batch: list[Input] = []
        self._passes: Passes | None = None
        self._rates: dict[str, float] = {}
        """Tokens per second by the model's digest."""

    def __len__(self) -> int:
        """Calls that are not over."""
        return len(self._jobs)

    def uses(self, digest: str) -> bool:
        """Whether a call waits for this model's vectors."""
        return any(job.model.spec.digest == digest for job in self._jobs)

    def admit(self, request: protocol.Embed, call: Call, model: EmbeddingModel) -> None:
        """Take up a call whose inputs are tokens. Raises InvalidRequest."""
        width = model.embedder.width
        if request.dimensions is not None and request.dimensions > width:
            raise InvalidRequest(
                f"{model.spec.name} makes vectors of {width} numbers; {request.dimensions} are "
                "asked for. Ask for fewer, or leave dimensions out."
            )
        job = EmbedJob.of(request, call, model)
        self._jobs.append(job)
        self._line.join(job)

    def step(self, *, busy: bool) -> bool:
        """Compute one pass and tell what is whole; False where there was nothing to do.

        ``busy``: whether answers are being computed as well.
        """
        self._drop_cancelled()
        seconds = _BUSY_SECONDS if busy else _IDLE_SECONDS
        if self._passes is None and not self._begin(seconds):
            return False
        try:
            self._go_on()
        except Exception:  # the loop must survive any one pass
            logger.exception("an embedding pass failed")
            self._fail_batch()
        return True

    def end_all(self, event: protocol.Failed) -> None:
        """End every call with ``event``."""
        for job in list(self._jobs):
            self._end(job, event)
        self._batch, self._passes = [], None

    # --- one batch ----------------------------------------------------------

    def _begin(self, seconds: float) -> bool:
        """Form the next batch; False where nothing waits."""
        turn = next(iter(self._line), None)
        if turn is None:
            return False
        rate = self._rates.get(turn.model.spec.digest)
        tokens = _FIRST_TOKENS if rate is None else min(_MAX_TOKENS, int(rate * seconds))
        self._batch = self._line.next_batch(tokens)
        # A chunk as small as busy answers want it would be too slow for a long input.
        self._passes = turn.model.embedder.passes(
            [each.tokens for each in self._batch],
            chunk=max(tokens // len(self._batch), _FIRST_TOKENS),
            dimensions=turn.dimensions,
        )
        return True

    def _go_on(self) -> None:
        """Compute the next pass; after the last one, tell the vectors."""
        assert self._passes is not None
        started = time.perf_counter()
        try:
            next(self._passes)
        except StopIteration as end:
            vectors = end.value
            mx.eval(vectors)
            self._measure(time.perf_counter() - started)
            self._passes = None
            self._tell(np.asarray(vectors, dtype="<f4"))

    def _measure(self, seconds: float) -> None:
        model = self._batch[0].job.model
        computed = len(self._batch) * max(len(each.tokens) for each in self._batch)
        rate = computed / max(seconds, 1e-6)
        before = self._rates.get(model.spec.digest, rate)
        self._rates[model.spec.digest] = before + _RECENT * (rate - before)

    def _tell(self, vectors: np.ndarray) -> None:
        """Send each call its part of the batch; those that have all of theirs end."""
        parts: dict[EmbedJob, list[tuple[int, str]]] = {}
        for each, vector in zip(self._batch, vectors, strict=True):
            encoded = base64.b64encode(vector.tobytes()).decode("ascii")
            parts.setdefault(each.job, []).append((each.index, encoded))
        self._batch = []
        for job, part in parts.items():
            job.call.emit(
                protocol.Vectors(
                    indexes=tuple(index for index, _ in part),
                    vectors=tuple(vector for _, vector in part),
                )
            )
            job.left -= len(part)
            if not job.left:
                self._end(
                    job,
                    protocol.Embedded(prompt_tokens=job.prompt_tokens, dimensions=vectors.shape[1]),
                )

    # --- endings ------------------------------------------------------------

    def _fail_batch(self) -> None:
        for job in {each.job for each in self._batch}:
            self._end(job, defect())
        self._batch, self._passes = [], None

    def _drop_cancelled(self) -> None:
        for job in list(self._jobs):
            if job.call.cancelled:
                self._end(job)

    def _end(self, job: EmbedJob, event: protocol.Event | None = None) -> None:
        if job not in self._jobs:
            return
        self._jobs.remove(job)
        self._line.leave(job)
        job.model.last_used_at = time.time()
        if event is not None:
            job.call.emit(event)
