"""The batch runner: one model's forward passes over mlx-lm's batch caches.

A prompt is prefilled alone, chunk by chunk, in a cache of its own; its first
token is sampled from the last chunk's logits, and the row joins the batch. The
batch is pipelined: while a step's tokens are read, the next step's forward pass
is already being computed, so a row that ends costs one row of one pass.
"""

from __future__ import annotations

from collections.abc import Sequence as Rows
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import make_prompt_cache

from apps.inference.engine.prompt_cache.checkpoints import Layout, layout_of
from apps.inference.engine.prompt_cache.spans import (
    KVSpan,
    cache_from_spans,
    span_of_cache,
    span_of_row,
)
from apps.inference.engine.sampling import RowSampler, sample
from apps.inference.engine.scheduler import Chunk
from apps.inference.engine.sequence import Sequence

_CLEAR_EVERY = 256
"""Steps between returning MLX's free buffers to the system."""


class BatchRunner:
    def __init__(self, model: Any) -> None:
        """``model``: an mlx-lm model; called as model(tokens, cache=...) → logits."""
        self._model = model
        self._samplers: dict[int, RowSampler] = {}
        self._prefills: dict[int, list[Any]] = {}
        self._rows: list[Sequence] = []
        self._cache: list[Any] = []
        self._next: mx.array | None = None
        self._steps = 0
        self._layout: Layout | None = layout_of(make_prompt_cache(model))

    @property
    def cacheable(self) -> bool:
        """Whether what this model's layers keep can serve another prompt."""
        return self._layout is not None

    @property
    def needs_checkpoints(self) -> bool:
        """Whether some layers can't be cut, so that reuse ends at checkpoints only."""
        return self._layout is not None and any(kind != "kv" for kind in self._layout)

    @property
    def live_kv_bytes(self) -> int:
        caches = [*self._prefills.values(), self._cache]
        return sum(int(layer.nbytes) for cache in caches for layer in cache)

    def begin(self, sequence: Sequence, sampler: RowSampler, spans: Rows[KVSpan]) -> None:
        """Take a sequence up, its prompt's beginning already computed in ``spans``."""
        self._samplers[sequence.id] = sampler
        self._prefills[sequence.id] = (
            cache_from_spans(self._layout, spans, sequence.remaining_prompt)
            if spans and self._layout is not None
            else make_prompt_cache(self._model)
        )

    def prefill(self, chunk: Chunk) -> None:
        """Compute one chunk's KV; after the last one the sequence is ready to decode."""
        sequence, cache = chunk.sequence, self._prefills[chunk.sequence.id]
        tokens = mx.array(sequence.prompt[chunk.start : chunk.stop])[None]
        logits = self._model(tokens, cache=cache)
        if not chunk.is_last or sequence.max_tokens == 0:
            # Evaluating the KV alone leaves the output projection uncomputed.
            mx.eval([layer.state for layer in cache])
            return
        first = sample(logits[:, -1, :], [self._samplers[sequence.id]])
        mx.eval(first, [layer.state for layer in cache])
        self._join(sequence, cache, first)
        # A prompt's intermediate buffers fit no later step; free them.
        mx.clear_cache()

    def decode(self) -> list[tuple[Sequence, int]]:
        """The next token of every row; starts computing the one after."""
        if not self._rows or self._next is None:
            return []
        current = self._next
        logits = self._model(current[:, None], cache=self._cache)[:, -1, :]
        self._next = sample(logits, [self._samplers[row.id] for row in self._rows])
        mx.async_eval(self._next)  # type: ignore[no-untyped-call]
        self._steps += 1
        if self._steps % _CLEAR_EVERY == 0:
            mx.clear_cache()
        tokens: list[int] = current.tolist()  # type: ignore[assignment]
        return list(zip(self._rows, tokens, strict=True))

    def span(self, sequence: Sequence, start: int, stop: int) -> KVSpan:
        """Tokens ``start`` to ``stop`` of a cacheable model's sequence, in memory of its own.

        ``stop`` is how far the sequence is computed now.
        """
        assert self._layout is not None
        if sequence.id in self._prefills:
            span = span_of_cache(self._layout, self._prefills[sequence.id], start, stop)
        else:
            row = self._rows.index(sequence)
            span = span_of_row(self._layout, self._cache, row, start, stop)
        span.evaluate()
        return span

    def remove(self, sequences: Rows[Sequence]) -> None:
        """Free the rows and prefills of these sequences; unknown ones are no error."""
        leaving = {sequence.id for sequence in sequences}
        for sequence_id in leaving:
            self._prefills.pop(sequence_id, None)
            self._samplers.pop(sequence_id, None)
        keep = [i for i, row in enumerate(self._rows) if row.id not in leaving]
        if len(keep) == len(self._rows):
            return
        self._rows = [self._rows[i] for i in keep]
        if not keep or self._next is None:
            self._cache, self._next = [], None
            return
        index = mx.array(keep)
        for layer in self._cache:
            layer.filter(index)
        self._next = self._next[index]

    def _join(self, sequence: Sequence, cache: list[Any], first: mx.array) -> None:
        del self._prefills[sequence.id]
        joining = [type(layer).merge([layer]) for layer in cache]
        self._rows.append(sequence)
        if self._next is None:
            self._cache, self._next = joining, first
            return
        for layer, other in zip(self._cache, joining, strict=True):
            layer.extend(other)
        self._next = mx.concatenate([self._next, first])
