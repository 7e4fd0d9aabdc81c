"""Which rows are asked, and as what."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.training.evaluation.errors import BadEvaluation
from apps.training.evaluation.material import learnt_row, lines_of, question_of, rows_of

USER = {"role": "user", "content": "Ahoy?"}
ANSWER = {"role": "assistant", "content": "Ahoy, matey!"}


def write(folder: Path, lines: list[str]) -> Path:
    (folder / "valid.jsonl").write_text("\n".join(lines))
    return folder


@given(total=st.integers(1, 50), wanted=st.integers(1, 60))
def test_rows_are_spread_over_the_split(
    total: int, wanted: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = write(tmp_path_factory.mktemp("data"), ["{}"] * total)
    lines = lines_of(folder, "valid", wanted)
    assert len(lines) == len(set(lines)) == min(total, wanted)
    assert lines == sorted(lines)
    gaps = {after - before for before, after in pairwise(lines)}
    assert not gaps or max(gaps) - min(gaps) <= 1
    assert [index for index, _ in rows_of(folder, "valid", lines)] == lines


@pytest.mark.parametrize(
    ("row", "asked", "reference"),
    [
        ({"prompt": "Ahoy?", "completion": "Ahoy, matey!"}, "Ahoy?", "Ahoy, matey!"),
        ({"messages": [USER, ANSWER]}, "Ahoy?", "Ahoy, matey!"),
        ({"prompt": "Ahoy?", "chosen": "Ahoy!", "rejected": "Hi."}, "Ahoy?", "Ahoy!"),
    ],
)
def test_a_row_is_asked_up_to_its_last_answer(
    row: dict[str, Any], asked: str, reference: str
) -> None:
    question = question_of(6, learnt_row(row))
    assert question is not None
    assert (question.line, question.asked, question.reference) == (7, asked, reference)


@pytest.mark.parametrize(
    "row",
    [
        {"text": "Ahoy"},
        {"messages": [USER]},
        {"messages": [ANSWER, USER]},
        {"messages": [{"role": "user", "content": None}, ANSWER]},
        {"messages": ["Ahoy", ANSWER]},
        {"messages": [{"role": "pirate", "content": "Ahoy"}, ANSWER]},
    ],
)
def test_what_can_not_be_asked_as_text_is_left_out(row: dict[str, Any]) -> None:
    assert question_of(0, row) is None


def test_a_split_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadEvaluation, match="has no rows"):
        lines_of(write(tmp_path, [""]), "valid", 3)
    with pytest.raises(BadEvaluation, match="test split of this data has no rows"):
        lines_of(tmp_path, "test", 3)


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path, [json.dumps({"text": "a"}), "{", "[]"])
    with pytest.raises(BadEvaluation, match="Line 2"):
        list(rows_of(folder, "valid", [1]))
    with pytest.raises(BadEvaluation, match="Line 3"):
        list(rows_of(folder, "valid", [2]))
