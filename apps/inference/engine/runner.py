"""The batch runner: one model's forward passes over mlx-lm's batch caches.

A prompt is prefilled chunk by chunk in a cache of its own; its first token is
sampled from the last chunk's logits and told at once, and the row joins the
batch. The batch is pipelined: while a step's tokens are read, the next step's
forward pass is already being computed, so a row that ends costs one row of one
pass.
"""

from __future__ import annotations

from collections.abc import Sequence as Rows
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import make_prompt_cache

from apps.inference.engine.adapters.bank import AdapterBank
from apps.inference.engine.prompt_cache.layout import Layout, layout_of
from apps.inference.engine.prompt_cache.spans import (
    KVSpan,
    cache_from_spans,
    span_of_cache,
    span_of_row,
)
from apps.inference.engine.protocol import Speculation
from apps.inference.engine.sampling import RowSampler, accept, sample
from apps.inference.engine.sampling.logprobs import ChosenToken, LogprobBatch
from apps.inference.engine.scheduler import Chunk
from apps.inference.engine.sequence import Sequence
from apps.inference.engine.speculation import Drafter, can_rewind
from apps.inference.engine.tokens import agreement

_CLEAR_EVERY = 256
"""Steps between returning MLX's free buffers to the system."""


class BatchRunner:
    def __init__(self, model: Any) -> None:
        """``model``: an mlx-lm model; called as model(tokens, cache=...) → logits."""
        self._model = model
        self.adapters = AdapterBank(model)
        self._samplers: dict[int, RowSampler] = {}
        self._prefills: dict[int, list[Any]] = {}
        self._scores: dict[int, list[ChosenToken]] = {}
        """Of the prompts' newest chunks, where they are scored."""
        self._started: list[tuple[Sequence, mx.array]] = []
        """Those of the prefills that have their first token, and join the batch if it was not
        their last: a long prompt pads all rows, which is much to copy for nothing."""
        self._rows: list[Sequence] = []
        self._cache: list[Any] = []
        self._batched = False
        """Whether ``_cache`` is of mlx-lm's batch kind. A row alone keeps the cache it was
        prefilled in: nothing is copied, and its attention needs no mask."""
        self._next: mx.array | None = None
        self._told: set[int] = set()
        """Rows whose token in ``_next`` was returned by ``prefill`` already."""
        self._steps = 0
        self._drafter: Drafter | None = None
        self._layout: Layout | None = layout_of(make_prompt_cache(model))

    @property
    def cacheable(self) -> bool:
        """Whether what this model's layers keep can serve another prompt."""
        return self._layout is not None

    @property
    def needs_checkpoints(self) -> bool:
        """Whether some layers can't be cut, so that reuse ends at checkpoints only."""
        return self._layout is not None and self._layout.has_states

    @property
    def live_kv_bytes(self) -> int:
        caches = [*self._prefills.values(), self._cache]
        drafted = self._drafter.nbytes if self._drafter else 0
        return sum(int(layer.nbytes) for cache in caches for layer in cache) + drafted

    @property
    def speculation(self) -> Speculation | None:
        """What became of the draft's proposals so far; None without a draft."""
        if self._drafter is None:
            return None
        return Speculation(drafted=self._drafter.drafted, accepted=self._drafter.accepted)

    def draft_with(self, draft: BatchRunner | None) -> None:
        """Let the model of another runner propose tokens from now on; None: no model."""
        if draft is None:
            self._drafter = None
        elif self._drafter is None or self._drafter.model is not draft._model:
            self._drafter = Drafter(draft._model, draft.adapters)

    def begin(self, sequence: Sequence, sampler: RowSampler, spans: Rows[KVSpan]) -> None:
        """Take a sequence up, its prompt's beginning already computed in ``spans``."""
        self._samplers[sequence.id] = sampler
        self._prefills[sequence.id] = (
            cache_from_spans(self._layout, spans, len(sequence.to_prefill) - sequence.computed)
            if spans and self._layout is not None
            else make_prompt_cache(self._model)
        )

    def prefill(self, chunks: Rows[Chunk]) -> list[tuple[Sequence, int]]:
        """Compute chunks: one of any kind, or the last ones of several sequences.

        After its last chunk a sequence is ready to decode, and its first token is
        among those returned; a warm-up stays as it is.
        """
        if not chunks[0].starts_answer:
            # Evaluating the KV alone leaves the output projection uncomputed.
            self._forward(chunks[0])
            mx.eval([layer.state for layer in self._prefills[chunks[0].sequence.id]])
            return []
        first = self._prefill_last(chunks[0]) if len(chunks) == 1 else self._prefill_all(chunks)
        started = [chunk.sequence for chunk in chunks]
        self._told.update(sequence.id for sequence in started)
        return list(zip(started, _read(first), strict=True))

    def _forward(self, chunk: Chunk) -> mx.array:
        """The logits of one chunk, shape (1, tokens, vocabulary), not evaluated."""
        tokens = mx.array(chunk.tokens)[None]
        self.adapters.use([chunk.sequence.adapter])
        logits: mx.array = self._model(tokens, cache=self._prefills[chunk.sequence.id])
        if chunk.sequence.scored is not None:
            self._score(chunk, logits[0], chunk.sequence.scored)
        return logits

    def _score(self, chunk: Chunk, logits: mx.array, top: int) -> None:
        """Note how likely each of the prompt's tokens behind the chunk's places was."""
        expected = chunk.sequence.prompt[chunk.start + 1 : chunk.stop + 1]
        if expected:
            rows = len(expected)
            batch = LogprobBatch(logits[:rows], mx.array(expected), [top] * rows)
            self._scores[chunk.sequence.id] = [batch.read(row) for row in range(rows)]

    def take_scores(self, sequence: Sequence) -> list[ChosenToken]:
        """The scores of the newest chunk, once: of the tokens behind its places."""
        return self._scores.pop(sequence.id, [])

    def _prefill_last(self, chunk: Chunk) -> mx.array:
        """The sequence's first token."""
        sequence = chunk.sequence
        first = sample(self._forward(chunk)[:, -1, :], [self._samplers[sequence.id]])
        mx.eval(first, [layer.state for layer in self._prefills[sequence.id]])
        self._started.append((sequence, first))
        return first

    def _prefill_all(self, chunks: Rows[Chunk]) -> mx.array:
        """The last chunks of several sequences in one pass, the shorter ones padded.

        Returns their first tokens.
        """
        sequences = [chunk.sequence for chunk in chunks]
        caches = [self._prefills.pop(sequence.id) for sequence in sequences]
        batch = [type(layers[0]).merge(list(layers)) for layers in zip(*caches, strict=True)]
        lengths = [chunk.length for chunk in chunks]
        padding = [max(lengths) - length for length in lengths]
        tokens = mx.array(
            [[*chunk.tokens, *[0] * pad] for chunk, pad in zip(chunks, padding, strict=True)]
        )
        for layer in batch:
            layer.prepare(lengths=lengths, right_padding=padding)
        self.adapters.use([sequence.adapter for sequence in sequences])
        logits = self._model(tokens, cache=batch)
        last = logits[mx.arange(len(chunks)), mx.array(lengths) - 1]
        first = sample(last, [self._samplers[sequence.id] for sequence in sequences])
        for layer in batch:
            layer.finalize()
        mx.eval(first, [layer.state for layer in batch])
        self._join(sequences, batch, first)
        return first

    def decode(self) -> list[tuple[Sequence, int]]:
        """The next token of every row but those just prefilled; starts computing the one after.

        A row alone may get several at once, where a draft model proposed them.
        """
        self._join_started()
        if not self._rows or self._next is None:
            return []
        self._leave_batch()
        drafter = self._ready_drafter()
        if drafter is not None:
            return self._decode_drafted(drafter)
        current = self._next
        self.adapters.use([row.adapter for row in self._rows])
        logits = self._model(current[:, None], cache=self._cache)[:, -1, :]
        samplers = [self._samplers[row.id] for row in self._rows]
        if any(sampler.constrained for sampler in samplers):
            # A grammar must know the present tokens; it reads them, and works out
            # its masks, while the pass is being computed.
            mx.async_eval(logits)  # type: ignore[no-untyped-call]
            accept(_read(current), samplers)
        self._next = sample(logits, samplers)
        # With the offsets: left lazy, each would be evaluated on its own in the next pass.
        mx.async_eval(self._next, _offsets(self._cache))  # type: ignore[no-untyped-call]
        self._clear_now_and_then()
        for row in self._rows:
            row.computed += 1
        pairs = zip(self._rows, _read(current), strict=True)
        decoded = [(row, token) for row, token in pairs if row.id not in self._told]
        self._told.clear()
        return decoded

    def _ready_drafter(self) -> Drafter | None:
        """The draft, where it has something to propose: to a row that is alone."""
        drafter = self._drafter
        if drafter is None or self._batched or self._prefills or not drafter.usable:
            return None
        (row,) = self._rows
        worthwhile = row.max_tokens - len(row.generated) > 2
        if not worthwhile or not self._samplers[row.id].foreseeable or not can_rewind(self._cache):
            return None
        return drafter if drafter.ready(row, self._known(row)) else None

    def _known(self, row: Sequence) -> tuple[int, ...]:
        """Every token of a row that is alone, with the one that is not told yet."""
        assert self._next is not None
        return row.spelled if row.id in self._told else (*row.spelled, *_read(self._next))

    def _decode_drafted(self, drafter: Drafter) -> list[tuple[Sequence, int]]:
        """Check what the draft proposes in one pass; what holds, and one token more."""
        assert self._next is not None
        (row,) = self._rows
        sampler, known = self._samplers[row.id], self._known(row)
        drawn = sampler.drawn
        proposed = drafter.propose(known, sampler, row.max_tokens - len(row.generated) - 2)
        self.adapters.use([row.adapter])
        logits = self._model(mx.concatenate([self._next, proposed])[None], cache=self._cache)[0]
        # The same places' keys again, this time for what the model itself draws.
        sampler.rewind(drawn)
        own = sample(logits, [sampler] * len(logits))
        mx.eval(own, proposed)
        told, drafts = _read(own), _read(proposed)
        accepted = agreement(drafts, told)
        drafter.settle(row, drafts, accepted)
        sampler.rewind(drawn + accepted + 1)
        for layer in self._cache:
            layer.trim(len(drafts) - accepted)
        row.computed += accepted + 1
        first = [] if row.id in self._told else [known[-1]]
        self._next, self._told = own[accepted : accepted + 1], {row.id}
        self._clear_now_and_then()
        return [(row, token) for token in (*first, *told[: accepted + 1])]

    def _clear_now_and_then(self) -> None:
        self._steps += 1
        if self._steps % _CLEAR_EVERY == 0:
            mx.clear_cache()

    def span(self, sequence: Sequence, start: int, stop: int) -> KVSpan:
        """Tokens ``start`` to ``stop`` of a cacheable model's sequence, to be cut from at once.

        ``stop`` is how far the sequence is computed now.
        """
        assert self._layout is not None
        if sequence.id in self._prefills:
            return span_of_cache(self._layout, self._prefills[sequence.id], start, stop)
        if not self._batched:
            return span_of_cache(self._layout, self._cache, start, stop)
        row = self._rows.index(sequence)
        return span_of_row(self._layout, self._cache, row, start, stop)

    def remove(self, sequences: Rows[Sequence]) -> None:
        """Free the rows and prefills of these sequences; unknown ones are no error."""
        leaving = {sequence.id for sequence in sequences}
        for sequence_id in leaving:
            self._prefills.pop(sequence_id, None)
            self._samplers.pop(sequence_id, None)
            self._scores.pop(sequence_id, None)
            if self._drafter:
                self._drafter.forget(sequence_id)
        self._started = [(row, first) for row, first in self._started if row.id not in leaving]
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

    def _join_started(self) -> None:
        for sequence, first in self._started:
            cache = self._prefills.pop(sequence.id)
            if self._rows:
                self._join([sequence], _as_batch(cache), first)
            else:
                self._rows, self._cache, self._next = [sequence], cache, first
                self._batched = False
                mx.clear_cache()
        self._started.clear()

    def _leave_batch(self) -> None:
        """Give the last row of a batch a cache of its own again, unless somebody is about to join."""
        if self._batched and len(self._rows) == 1 and not self._prefills:
            self._cache = [layer.extract(0) for layer in self._cache]
            self._batched = False

    def _join(self, sequences: Rows[Sequence], cache: list[Any], first: mx.array) -> None:
        """Let prefilled sequences decode from the next step on."""
        self._rows.extend(sequences)
        if self._next is None:
            self._cache, self._next = cache, first
        else:
            if not self._batched:
                self._cache = _as_batch(self._cache)
            for layer, other in zip(self._cache, cache, strict=True):
                layer.extend(other)
            self._next = mx.concatenate([self._next, first])
        self._batched = True
        # A prompt's intermediate buffers fit no later step; free them.
        mx.clear_cache()


def _read(tokens: mx.array) -> tuple[int, ...]:
    """Token ids, computed now where they are not yet."""
    return tuple(tokens.tolist())  # type: ignore[arg-type]


def _offsets(cache: Rows[Any]) -> list[mx.array]:
    """Of the layers that keep one for each row."""
    offsets = (getattr(layer, "offset", None) for layer in cache)
    return [offset for offset in offsets if isinstance(offset, mx.array)]


def _as_batch(cache: Rows[Any]) -> list[Any]:
    """One sequence's cache as mlx-lm's batch kind, with one row."""
    return [type(layer).merge([layer]) for layer in cache]
