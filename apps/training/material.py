"""What a data folder holds, looked at without the model: enough to plan a run by.

Whole files are counted; tokens are counted on some rows spread over the file, so that a
large folder is looked at in a second. The trainer counts exactly, once it runs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
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
    prompts: tuple[int, ...] = ()
    """Of what stands before the answers, as ``lengths``; empty where the rows are plain text."""
    pairs: bool = False
    """Whether the rows are pairs of a chosen and a rejected answer; of each the longer counts."""
    test_rows: int = 0

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
    train, *others = (data / f"{name}.jsonl" for name in ("train", "valid", "test"))
    if not train.is_file():
        raise BadOrder(f"There is no train.jsonl in {data}. Choose a folder that has one.")
    if train.stat().st_size > LARGEST_FILE:
        raise BadOrder(f"{train} is larger than 8 GB: the trainer reads it whole. Split it.")
    try:
        rows = _count(train)
        found = _looked_at(train, rows)
        lengths, prompts = _lengths(found, model)
        validation, test = (_count(other) if other.is_file() else 0 for other in others)
        return Material(rows, validation, lengths, prompts, found.pairs, test)
    except OSError as error:
        raise BadOrder(f"The data in {data} can't be read: {error.strerror or error}.") from error


def _count(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())


@dataclass
class _Looked:
    """The sampled rows."""

    texts: list[_Text] = field(default_factory=list)
    pairs: bool = False
    """Whether the first one is a pair."""


@dataclass(frozen=True)
class _Text:
    prompt: str
    answer: str
    messages: int
    """That both are in; 0: it is plain text."""


def _looked_at(path: Path, rows: int) -> _Looked:
    every = max(rows // SAMPLED_ROWS, 1)
    found = _Looked()
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if number % every == 0 and line.strip():
                row = _row(line, number + 1)
                found.texts.append(_text(row, number + 1))
                found.pairs = found.pairs or (number == 0 and is_pair(row))
    return found


def _lengths(found: _Looked, model: Path) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Tokens of whole rows and of prompts, each in ascending order."""
    texts = found.texts
    prompts = _counts([one.prompt for one in texts], model)
    answers = _counts([one.answer for one in texts], model)
    markup = [one.messages * MARKUP_TOKENS for one in texts]
    whole = tuple(sorted(map(sum, zip(prompts, answers, markup, strict=True))))
    plain = any(not one.messages for one in texts)
    return whole, () if plain else tuple(sorted(prompts))


def _counts(texts: list[str], model: Path) -> list[int]:
    tokenizer = _tokenizer(model)
    if tokenizer is None:
        return [len(text.encode()) // 4 for text in texts]
    return [len(one) for one in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


def _row(line: bytes, number: int) -> dict[str, Any]:
    """Raises BadOrder."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadOrder(f"Line {number} of train.jsonl is no JSON: {error}.") from error
    if not isinstance(row, dict):
        raise BadOrder(f"Line {number} of train.jsonl is no JSON object.")
    return row


def _text(row: dict[str, Any], number: int) -> _Text:
    """A row's text, and how many messages it is in. Raises BadOrder."""
    if isinstance(messages := row.get("messages"), list):
        *before, last = [_said(one) for one in messages] or [""]
        return _Text("\n".join(before), last, len(messages))
    if "prompt" in row and "completion" in row:
        return _Text(str(row["prompt"]), str(row["completion"]), 2)
    if isinstance(text := row.get("text"), str):
        return _Text("", text, 0)
    if is_pair(row):
        return _longer_answer(row)
    raise BadOrder(
        f"Line {number} of train.jsonl is of no kind that can be trained on: a row needs messages, "
        "prompt and completion, text, or chosen and rejected."
    )


def _longer_answer(pair: dict[str, Any]) -> _Text:
    prompt, *answers = (_messages(pair.get(name)) for name in ("prompt", "chosen", "rejected"))
    longer = max(answers, key=lambda answer: sum(map(len, answer)))
    return _Text("\n".join(prompt), "\n".join(longer), len(prompt) + len(longer))


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
