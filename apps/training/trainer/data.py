"""The rows to learn from, as tokens, and the batches they come in.

Rows are rendered and masked by mlx-lm's own datasets, so what is trained on is what
mlx_lm.lora would train on. The order of batches depends on seed and epoch alone: a
run that goes on from a checkpoint needs to know no more than how far it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import numpy as np
from jinja2 import TemplateError
from mlx_lm.tuner.datasets import create_dataset

from apps.training.trainer.errors import BadData

_PAD_TO = 32
"""Batches are as wide as a multiple of this, and one: few widths, few compilations."""


@dataclass(frozen=True, eq=False)
class Row:
    tokens: np.ndarray
    """Token ids, int32, cut at the length limit."""
    offset: int
    """Index of the first token to learn; those before it are only seen."""
    index: int
    """Line in the file, from 0."""

    @property
    def learnt(self) -> int:
        """Tokens to learn; the first of a row is never predicted."""
        return len(self.tokens) - max(self.offset, 1)


@dataclass(frozen=True, eq=False)
class Batch:
    tokens: mx.array
    """Shape (rows, width), int32, padded with zeros."""
    spans: mx.array
    """Shape (rows, 2): the first token to learn, and the end of each row."""
    rows: tuple[Row, ...]


class TokenRows:
    """One split of the data."""

    def __init__(self, rows: list[Row], *, truncated: int = 0, dropped: int = 0) -> None:
        # Rows of like lengths share a batch, so that little of it is padding.
        self._rows = sorted(rows, key=lambda row: len(row.tokens))
        self.truncated = truncated
        self.dropped = dropped

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def tokens(self) -> int:
        return sum(len(row.tokens) for row in self._rows)

    def batches(self, batch_size: int) -> list[tuple[Row, ...]]:
        """Every row once, the shortest first; the last batch may have fewer rows."""
        starts = range(0, len(self._rows), batch_size)
        return [tuple(self._rows[start : start + batch_size]) for start in starts]


class Course:
    """The endless order of training batches, from a given place on."""

    def __init__(self, rows: TokenRows, batch_size: int, seed: int) -> None:
        self._batches = rows.batches(batch_size)
        self._seed = seed

    def from_step(self, step: int) -> Iterator[tuple[Row, ...]]:
        """The batches behind the first ``step`` ones; every epoch in an order of its own."""
        epoch, at = divmod(step, len(self._batches))
        while True:
            order = np.random.default_rng((self._seed, epoch)).permutation(len(self._batches))
            for i in order[at:]:
                yield self._batches[i]
            epoch, at = epoch + 1, 0


def spread(batches: list[tuple[Row, ...]], count: int) -> list[tuple[Row, ...]]:
    """``count`` of the batches, evenly spread over them; -1 for all."""
    if count < 0 or count >= len(batches):
        return batches
    return [batches[i * len(batches) // count] for i in range(count)]


def as_batch(rows: tuple[Row, ...], max_seq_length: int) -> Batch:
    """Rows as arrays, as wide as the longest needs."""
    longest = max(len(row.tokens) for row in rows)
    width = min(1 + _PAD_TO * -(-(longest - 1) // _PAD_TO), max_seq_length)
    tokens = np.zeros((len(rows), width), np.int32)
    for i, row in enumerate(rows):
        tokens[i, : len(row.tokens)] = row.tokens
    spans = np.array([(row.offset, len(row.tokens)) for row in rows], np.int32)
    return Batch(mx.array(tokens), mx.array(spans), rows)


def read_rows(path: Path, tokenizer: Any, *, mask_prompt: bool, max_seq_length: int) -> TokenRows:
    """The split in the file ``path``. Raises BadData, naming the line."""
    records = _records(path)
    if not records:
        return TokenRows([])
    try:
        dataset = create_dataset(records, tokenizer, SimpleNamespace(mask_prompt=mask_prompt))
    except (ValueError, TypeError) as error:
        raise BadData(
            f"The rows of {path.name} are of no kind that can be trained on: each needs messages, "
            f"prompt and completion, or text. ({str(error).splitlines()[0]})"
        ) from error
    rows: list[Row] = []
    truncated = dropped = 0
    for index, record in enumerate(records):
        try:
            tokens, offset = dataset.process(record)
        except (
            KeyError,
            ValueError,
            TypeError,
            AttributeError,
            IndexError,
            TemplateError,
        ) as error:
            raise BadData(
                f"Line {index + 1} of {path.name} can't be turned into tokens: {error!r}. Correct "
                "it or remove it."
            ) from error
        truncated += len(tokens) > max_seq_length
        row = Row(np.array(tokens[:max_seq_length], np.int32), offset, index)
        if row.learnt > 0:
            rows.append(row)
        else:
            dropped += 1
    return TokenRows(rows, truncated=truncated, dropped=dropped)


def require_rows(rows: TokenRows, name: str, max_seq_length: int) -> None:
    """Raises BadData where there is nothing to learn from."""
    if len(rows):
        return
    if rows.dropped:
        raise BadData(
            f"None of the {rows.dropped} rows of {name} has a token to learn within the first "
            f"{max_seq_length}. Raise max_seq_length, shorten the prompts, or train on the "
            "prompts too."
        )
    raise BadData(f"{name} has no rows. Add some, or choose another dataset.")


def _records(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a JSONL file; none where there is no file."""
    if not path.exists():
        return []
    records = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise BadData(f"Line {number} of {path.name} is no JSON object.")
                records.append(record)
    except json.JSONDecodeError as error:
        raise BadData(f"Line {number} of {path.name} is no JSON: {error}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"{path.name} can't be read: {error}.") from error
    return records
