"""What is asked: rows spread over a split, as questions and as texts to be likely."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from apps.datasets.formats.tokens import learnt_rows
from apps.inference.engine.protocol import Message
from apps.training.evaluation.errors import BadEvaluation


class Question(BaseModel):
    """Messages to be answered, and the answer that stands in the data."""

    model_config = ConfigDict(frozen=True)

    line: int | None
    """In the split's file, from 1; None: a prompt of the order's own."""
    messages: tuple[Message, ...]
    reference: str | None = None

    @property
    def asked(self) -> str:
        """The last thing that was said."""
        return self.messages[-1].content


def lines_of(folder: Path, split: str, rows: int) -> list[int]:
    """The indices of at most ``rows`` lines, spread evenly. Raises BadEvaluation."""
    path = folder / f"{split}.jsonl"
    total = 0
    try:
        with path.open("rb") as file:
            total = sum(1 for line in file if line.strip())
    except FileNotFoundError:
        pass  # a split without rows has no file
    except OSError as error:
        raise BadEvaluation(f"{path.name} of this data can't be read: {error.strerror}.") from error
    if not total:
        raise BadEvaluation(
            f"The {split} split of this data has no rows. Split some off on the data's page, or "
            "choose another split."
        )
    count = min(rows, total)
    return [index * total // count for index in range(count)]


def rows_of(folder: Path, split: str, lines: list[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows at those indices, which are in order. Raises BadEvaluation."""
    wanted = set(lines)
    with (folder / f"{split}.jsonl").open("rb") as file:
        filled = (line for line in file if line.strip())
        for index, line in enumerate(filled):
            if index in wanted:
                try:
                    row = orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    raise BadEvaluation(f"Line {index + 1} is no JSON: {error}.") from error
                if not isinstance(row, dict):
                    raise BadEvaluation(f"Line {index + 1} is no JSON object.")
                yield index, learnt_row(row)


def learnt_row(row: dict[str, Any]) -> dict[str, Any]:
    """The row whose likelihood counts: of a pair the conversation with the better answer."""
    sides = learnt_rows(row)
    return sides.get("chosen") or sides[""]


def question_of(index: int, row: Mapping[str, Any]) -> Question | None:
    """The row up to its last answer; None where it is no conversation that ends in one."""
    if "prompt" in row and "completion" in row:
        said = [{"role": "user", "content": row["prompt"]}]
        reference = row["completion"]
    elif isinstance(row.get("messages"), list) and len(row["messages"]) > 1:
        *said, last = row["messages"]
        if not isinstance(last, dict) or last.get("role") != "assistant":
            return None
        reference = last.get("content")
    else:
        return None
    try:
        messages = tuple(
            Message(role=each["role"], content=each["content"], name=each.get("name"))
            for each in said
        )
        return Question(line=index + 1, messages=messages, reference=reference)
    except (ValidationError, KeyError, TypeError, AttributeError):
        return None  # tool calls and pictures: the conversation can't be asked as text


def question_from(prompt: str) -> Question:
    """A prompt that somebody wrote."""
    return Question(line=None, messages=(Message(role="user", content=prompt),))
