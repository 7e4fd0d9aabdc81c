"""The batch runner: one model's forward passes over mlx-lm's batch caches.

A prompt is prefilled chunk by chunk in a cache of its own; its first token is
sampled from the last chunk's logits and told at once, and the row joins a batch.
Batches are pipelined: while a step's tokens are read, the next step's forward pass
is already being computed, so a row that ends costs one row of one pass.

Rows of like lengths share a batch, and with it a pass. A batch pads its rows to the
longest, and whoever joins is copied in: a long row among short ones would be paid
for by all of them, and stop them while it is copied. It gets a pass of its own.
"""

from __future__ import annotations

from collections.abc import Sequence as Rows
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import make_prompt_cache

from apps.inference.engine.adapters.bank import AdapterBank
from apps.inference.engine.decode_batch import DecodeBatch, merged, padding, tokens_of
from apps.inference.engine.prompt_cache.layout import Layout, layout_of
from apps.inference.engine.prompt_cache.spans import KVSpan, cache_from_spans, span_of_cache
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
    def __init__(self, model: Any, *, padding_allowed: int) -> None:
        """``model``: an mlx-lm model; called as model(tokens, cache=...) → logits.

        ``padding_allowed``: places without a token that a batch may have before another
        pass is cheaper.
        """
        self._model = model
        self.padding_allowed = padding_allowed
        self.adapters = AdapterBank(model)
        self._samplers: dict[int, RowSampler] = {}
        self._prefills: dict[int, list[Any]] = {}
        self._scores: dict[int, list[ChosenToken]] = {}
        """Of the prompts' newest chunks, where they are scored."""
        self._started: list[DecodeBatch] = []
        """Rows that have their first token, and join a batch if it was not their last."""
        self._batches: list[DecodeBatch] = []
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
        prefilled = sum(int(layer.nbytes) for cache in self._prefills.values() for layer in cache)
        decoding = sum(batch.nbytes for batch in (*self._started, *self._batches))
        return prefilled + decoding + (self._drafter.nbytes if self._drafter else 0)

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
        told: list[tuple[Sequence, int]] = []
        for group in self._of_like_lengths(chunks):
            started = self._prefill_last(group[0]) if len(group) == 1 else self._prefill_all(group)
            self._started.append(started)
            told.extend(zip(started.rows, tokens_of(started.next), strict=True))
        return told

    def _of_like_lengths(self, chunks: Rows[Chunk]) -> list[list[Chunk]]:
        """The chunks whose sequences may share a batch, the shortest sequences first."""
        groups: list[list[Chunk]] = []
        for chunk in sorted(chunks, key=lambda chunk: chunk.stop):
            together = [*groups[-1], chunk] if groups else []
            if together and padding([each.stop for each in together]) <= self.padding_allowed:
                groups[-1] = together
            else:
                groups.append([chunk])
        return groups

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

    def _prefill_last(self, chunk: Chunk) -> DecodeBatch:
        """The sequence with its first token."""
        sequence = chunk.sequence
        first = sample(self._forward(chunk)[:, -1, :], [self._samplers[sequence.id]])
        cache = self._prefills.pop(sequence.id)
        mx.eval(first, [layer.state for layer in cache])
        return DecodeBatch([sequence], [chunk.stop], cache, first)

    def _prefill_all(self, chunks: Rows[Chunk]) -> DecodeBatch:
        """The last chunks of several sequences in one pass, the shorter ones padded."""
        sequences = [chunk.sequence for chunk in chunks]
        cache = merged(self._prefills.pop(sequence.id) for sequence in sequences)
        lengths = [chunk.length for chunk in chunks]
        missing = [max(lengths) - length for length in lengths]
        tokens = mx.array(
            [[*chunk.tokens, *[0] * places] for chunk, places in zip(chunks, missing, strict=True)]
        )
        for layer in cache:
            layer.prepare(lengths=lengths, right_padding=missing)
        self.adapters.use([sequence.adapter for sequence in sequences])
        logits = self._model(tokens, cache=cache)
        last = logits[mx.arange(len(chunks)), mx.array(lengths) - 1]
        first = sample(last, [self._samplers[sequence.id] for sequence in sequences])
        for layer in cache:
            layer.finalize()
        mx.eval(first, [layer.state for layer in cache])
        return DecodeBatch(sequences, [chunk.stop for chunk in chunks], cache, first)

    def decode(self) -> list[tuple[Sequence, int]]:
        """The next token of every row but those just prefilled; starts computing the one after.

        A row alone may get several at once, where a draft model proposed them.
        """
        self._join_started()
        drafter = self._ready_drafter()
        if drafter is not None:
            return self._decode_drafted(drafter, self._batches[0])
        current = [batch.next for batch in self._batches]
        for batch in self._batches:
            self._start_pass(batch)
        self._clear_now_and_then()
        decoded: list[tuple[Sequence, int]] = []
        for batch, tokens in zip(self._batches, current, strict=True):
            pairs = zip(batch.rows, tokens_of(tokens), strict=True)
            decoded.extend((row, token) for row, token in pairs if row.id not in batch.told)
            batch.told.clear()
        return decoded

    def _start_pass(self, batch: DecodeBatch) -> None:
        """Begin to compute what follows the batch's present tokens."""
        self.adapters.use([row.adapter for row in batch.rows])
        logits = self._model(batch.next[:, None], cache=batch.cache)[:, -1, :]
        samplers = [self._samplers[row.id] for row in batch.rows]
        if any(sampler.constrained for sampler in samplers):
            # A grammar must know the present tokens; it reads them, and works out
            # its masks, while the pass is being computed.
            mx.async_eval(logits)  # type: ignore[no-untyped-call]
            accept(tokens_of(batch.next), samplers)
        batch.advance(sample(logits, samplers))
        # With the offsets: left lazy, each would be evaluated on its own in the next pass.
        mx.async_eval(batch.next, batch.offsets())  # type: ignore[no-untyped-call]

    def _ready_drafter(self) -> Drafter | None:
        """The draft, where it has something to propose: to a row that is alone."""
        drafter = self._drafter
        if drafter is None or not drafter.usable or self._prefills or len(self._batches) != 1:
            return None
        (batch,) = self._batches
        if not batch.is_single or not can_rewind(batch.cache):
            return None
        (row,) = batch.rows
        worthwhile = row.max_tokens - len(row.generated) > 2
        if not worthwhile or not self._samplers[row.id].foreseeable:
            return None
        return drafter if drafter.ready(row, _known(batch)) else None

    def _decode_drafted(self, drafter: Drafter, batch: DecodeBatch) -> list[tuple[Sequence, int]]:
        """Check what the draft proposes in one pass; what holds, and one token more."""
        (row,) = batch.rows
        sampler, known = self._samplers[row.id], _known(batch)
        drawn = sampler.drawn
        proposed = drafter.propose(known, sampler, row.max_tokens - len(row.generated) - 2)
        self.adapters.use([row.adapter])
        logits = self._model(mx.concatenate([batch.next, proposed])[None], cache=batch.cache)[0]
        # The same places' keys again, this time for what the model itself draws.
        sampler.rewind(drawn)
        own = sample(logits, [sampler] * len(logits))
        mx.eval(own, proposed)
        told, drafts = tokens_of(own), tokens_of(proposed)
        accepted = agreement(drafts, told)
        drafter.settle(row, drafts, accepted)
        sampler.rewind(drawn + accepted + 1)
        for layer in batch.cache:
            layer.trim(len(drafts) - accepted)
        first = [] if row.id in batch.told else [known[-1]]
        batch.advance(own[accepted : accepted + 1], by=accepted + 1)
        batch.told = {row.id}
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
        batches = (*self._started, *self._batches)
        batch = next(batch for batch in batches if sequence in batch.rows)
        return batch.span(self._layout, sequence, start, stop)

    def remove(self, sequences: Rows[Sequence]) -> None:
        """Free the rows and prefills of these sequences; unknown ones are no error."""
        leaving = {sequence.id for sequence in sequences}
        for sequence_id in leaving:
            self._prefills.pop(sequence_id, None)
            self._samplers.pop(sequence_id, None)
            self._scores.pop(sequence_id, None)
            if self._drafter:
                self._drafter.forget(sequence_id)
        self._started = [batch for batch in self._started if batch.leave(leaving)]
        self._batches = [batch for batch in self._batches if batch.leave(leaving)]

    def _join_started(self) -> None:
        """Let prefilled sequences decode from now on."""
        for batch in self._started:
            self._join(batch)
        if self._started:
            # A prompt's intermediate buffers fit no later step; free them.
            mx.clear_cache()
            self._started.clear()
        if not self._prefills:
            # Nobody is about to join the last row of a batch.
            for batch in self._batches:
                batch.settle()

    def _join(self, batch: DecodeBatch) -> None:
        """Add rows to the batch that they fit best, or let them have a pass of their own."""
        best = min(self._batches, key=batch.padding_with, default=None)
        if best is None or best.padding_with(batch) > self.padding_allowed:
            self._batches.append(batch)
        else:
            best.join(batch)


def _known(batch: DecodeBatch) -> tuple[int, ...]:
    """Every token of a row that is alone, with the one that is not told yet."""
    (row,) = batch.rows
    return row.spelled if row.id in batch.told else (*row.spelled, *tokens_of(batch.next))
