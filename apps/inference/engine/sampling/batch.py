"""Choosing the next token for every row of a batch in one pass.

The order is that of vLLM, OpenAI and transformers: logit bias; repetition, presence
and frequency penalties; the grammar's mask; temperature; top-k, top-p, min-p; a
draw. Each is computed for the rows that ask for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx

from apps.inference.engine.sampling.bias import biased
from apps.inference.engine.sampling.filters import filtered
from apps.inference.engine.sampling.grammar import constrained
from apps.inference.engine.sampling.logprobs import LogprobBatch
from apps.inference.engine.sampling.penalties import penalised
from apps.inference.engine.sampling.row import RowSampler
from apps.inference.engine.sampling.subset import on_rows


def sample(logits: mx.array, rows: Sequence[RowSampler]) -> mx.array:
    """The next token of each row.

    A constrained row's ``accept`` must have seen all its tokens before. Log
    probabilities stay with the rows that asked for them, until ``RowSampler.tell``.

    Args:
        logits: shape (rows, vocabulary).

    Returns:
        Token ids, shape (rows,), not evaluated; where log probabilities are wanted,
        computing them together has been started.
    """
    if all(row.plain for row in rows):
        return mx.argmax(logits, axis=-1)
    tokens = _choose(_adjusted(logits, rows), rows)
    _count(tokens, rows)
    _note_logprobs(logits, tokens, rows)
    return tokens


def accept(tokens: Sequence[int], rows: Sequence[RowSampler]) -> None:
    """Take constrained rows on by their present tokens, before the next are sampled."""
    for token, row in zip(tokens, rows, strict=True):
        if row.constraint is not None:
            row.constraint.accept(token)


def _adjusted(logits: mx.array, rows: Sequence[RowSampler]) -> mx.array:
    """Bias, penalties and grammars applied."""
    if not any(row.adjusts for row in rows):
        return logits
    return on_rows(logits.astype(mx.float32), rows, lambda row: row.adjusts, _adjust)


def _adjust(logits: mx.array, rows: Sequence[RowSampler]) -> mx.array:
    logits = on_rows(
        logits,
        rows,
        lambda row: row.bias is not None,
        lambda part, chosen: biased(part, [row.bias for row in chosen if row.bias]),
    )
    logits = on_rows(
        logits,
        rows,
        lambda row: row.penalties is not None,
        lambda part, chosen: penalised(part, [row.penalties for row in chosen if row.penalties]),
    )
    return on_rows(
        logits,
        rows,
        lambda row: row.constrained,
        lambda part, chosen: constrained(
            part, [row.constraint for row in chosen if row.constraint]
        ),
    )


def _choose(logits: mx.array, rows: Sequence[RowSampler]) -> mx.array:
    if not any(row.greedy for row in rows):
        return _draw(logits, rows)
    places = [i for i, row in enumerate(rows) if not row.greedy]
    tokens = mx.argmax(logits, axis=-1)
    if places:
        at = mx.array(places)
        tokens[at] = _draw(logits[at], [rows[i] for i in places])
    return tokens


def _draw(logits: mx.array, rows: Sequence[RowSampler]) -> mx.array:
    """A random token of each row, by its own key."""
    temperatures = mx.array([[row.temperature] for row in rows], dtype=mx.float32)
    scaled = filtered(logits.astype(mx.float32) / temperatures, rows)
    keys = mx.array([row.next_key() for row in rows], dtype=mx.uint32)
    draw = mx.vmap(lambda key, row: mx.random.categorical(row, key=key))
    tokens: mx.array = draw(keys, scaled)
    return tokens


def _count(tokens: mx.array, rows: Sequence[RowSampler]) -> None:
    for i, row in enumerate(rows):
        if row.penalties is not None:
            row.penalties.count(tokens[i])


def _note_logprobs(logits: mx.array, tokens: mx.array, rows: Sequence[RowSampler]) -> None:
    asking = [(i, row, row.logprobs) for i, row in enumerate(rows) if row.logprobs is not None]
    if not asking:
        return
    at = mx.array([i for i, _, _ in asking])
    batch = LogprobBatch(logits[at], tokens[at], [top for _, _, top in asking])
    for place, (_, row, _) in enumerate(asking):
        row.note_logprobs(batch, place)
    # With the tokens: computed when they are read, they would wait for the next pass.
    mx.async_eval(tokens, *batch.arrays)  # type: ignore[no-untyped-call]
