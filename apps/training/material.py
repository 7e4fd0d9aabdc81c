"""What a data folder holds, looked at without the model: enough to plan a run by.

Whole files are counted; tokens are counted on some rows spread over the file, so that a
large folder is looked at in a second. The trainer counts exactly, once it runs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from apps.training.errors import BadOrder
from apps.training.trainer.preferences import is_pair

SAMPLED_ROWS = 200
"""Rows whose tokens are counted."""

MARKUP_TOKENS = 5
"""What a chat template puts around each message, about."""

LARGEST_FILE = 8 * 1024**3


@dataclass(frozen=True)
class Material:
    """A data folder. Lengths are of the sampled rows, in tokens, in ascending order."""

    rows: int
    validation_rows: int
    lengths: tuple[int, ...]
    pairs: bool = False
    """Whether the rows are pairs of a chosen and a rejected answer; of each the longer counts."""

    @property
    def tokens(self) -> int:
        """Of an epoch, about."""
        return round(self.rows * sum(self.lengths) / max(len(self.lengths), 1))

    def length_of(self, share: float) -> int:
        """The length that this share of the rows does not pass."""
        if not self.lengths:
            return 0
        return self.lengths[min(int(share * len(self.lengths)), len(self.lengths) - 1)]

    def truncated(self, limit: int) -> float:
        """Share of the rows that are longer than ``limit`` tokens."""
        return sum(length > limit for length in self.lengths) / max(len(self.lengths), 1)

    def lost(self, limit: int) -> float:
        """Share of all tokens that lie behind ``limit``."""
        behind = sum(max(length - limit, 0) for length in self.lengths)
        return behind / max(sum(self.lengths), 1)


def look(data: Path, model: Path) -> Material:
    """What is in the folder ``data``, in tokens of ``model``. Raises BadOrder."""
    train, valid = data / "train.jsonl", data / "valid.jsonl"
    if not train.is_file():
        raise BadOrder(f"There is no train.jsonl in {data}. Choose a folder that has one.")
    if train.stat().st_size > LARGEST_FILE:
        raise BadOrder(f"{train} is larger than 8 GB: the trainer reads it whole. Split it.")
    try:
        rows = _count(train)
        lengths, pairs = _lengths(train, rows, model)
        return Material(rows, _count(valid) if valid.is_file() else 0, lengths, pairs)
    except OSError as error:
        raise BadOrder(f"The data in {data} can't be read: {error.strerror or error}.") from error


def _count(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())


def _lengths(path: Path, rows: int, model: Path) -> tuple[tuple[int, ...], bool]:
    """In ascending order; and whether the first row is a pair."""
    every = max(rows // SAMPLED_ROWS, 1)
    texts, lengths, pairs = [], [], False
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if number % every == 0 and line.strip():
                row = _row(line, number + 1)
                text, messages = _text(row, number + 1)
                texts.append(text)
                lengths.append(messages * MARKUP_TOKENS)
                pairs = pairs or (number == 0 and is_pair(row))
    tokenizer = _tokenizer(model)
    if tokenizer is None:
        counts = [len(text.encode()) // 4 for text in texts]
    else:
        counts = [len(one) for one in tokenizer.encode_batch_fast(texts)]
    return tuple(sorted(map(sum, zip(lengths, counts, strict=True)))), pairs


def _row(line: bytes, number: int) -> dict[str, Any]:
    """Raises BadOrder."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadOrder(f"Line {number} of train.jsonl is no JSON: {error}.") from error
    if not isinstance(row, dict):
        raise BadOrder(f"Line {number} of train.jsonl is no JSON object.")
    return row


def _text(row: dict[str, Any], number: int) -> tuple[str, int]:
    """A row's text, and how many messages it is in. Raises BadOrder."""
    if isinstance(messages := row.get("messages"), list):
        parts = [_said(one) for one in messages]
        return "\n".join(parts), len(parts)
    if "prompt" in row and "completion" in row:
        return f"{row['prompt']}\n{row['completion']}", 2
    if isinstance(text := row.get("text"), str):
        return text, 0
    if is_pair(row):
        return _longer_answer(row)
    raise BadOrder(
        f"Line {number} of train.jsonl is of no kind that can be trained on: a row needs messages, "
        "prompt and completion, text, or chosen and rejected."
    )


def _longer_answer(pair: dict[str, Any]) -> tuple[str, int]:
    prompt, *answers = (_messages(pair.get(name)) for name in ("prompt", "chosen", "rejected"))
    longer = max(answers, key=lambda answer: sum(map(len, answer)))
    return "\n".join([*prompt, *longer]), len(prompt) + len(longer)


def _messages(value: Any) -> list[str]:
    """What a text, a message or several say."""
    if isinstance(value, str):
        return [value] if value else []
    return [_said(one) for one in (value if isinstance(value, list) else [value]) if one]


def _said(message: Any) -> str:
    if not isinstance(message, dict):
        return ""
    content = message.get("content")
    return content if isinstance(content, str) else json.dumps(message, ensure_ascii=False)


@lru_cache(maxsize=4)
def _tokenizer(model: Path) -> Tokenizer | None:
    """None where the model has none of its own kind; then tokens are guessed from bytes."""
    file = model / "tokenizer.json"
    if not file.is_file():
        return None
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
