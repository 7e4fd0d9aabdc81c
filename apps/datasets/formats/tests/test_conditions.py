"""Conditions: as they are written, and which records meet them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.datasets.formats.conditions import OPERATORS, Condition
from apps.datasets.formats.errors import BadMapping
from apps.datasets.formats.mapping import Mapping, Target

RECORD = {
    "score": 4.5,
    "votes": "12",
    "topic": "Maths",
    "empty": None,
    "meta": {"lang": "de", "tags": ["x", "y"]},
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("score >= 4", True),
        ("score > 4.5", False),
        ("score<5", True),
        ("votes > 9", True),
        ("votes = 12.0", True),
        ("topic = maths", True),
        ("topic != Maths", False),
        ("topic ~ ATH", True),
        ("topic !~ ath", False),
        ("topic > 3", False),
        ("empty =", True),
        ("empty !=", False),
        ("nowhere =", True),
        ("meta.lang = de", True),
        ("meta.tags.1 = y", True),
        ("meta ~ lang", True),
    ],
)
def test_a_condition_holds_as_it_reads(text: str, holds: bool) -> None:
    assert Condition.of_text(text).holds(RECORD) is holds


@pytest.mark.parametrize("text", ["", "score", ">= 4", "score is 4"])
def test_what_compares_nothing_is_refused(text: str) -> None:
    with pytest.raises(BadMapping, match="is no condition"):
        Condition.of_text(text)


@given(
    st.text("abc.é_", min_size=1), st.sampled_from(list(OPERATORS)), st.text("xyz 0=<>~").map(str.strip)
)  # fmt: skip
def test_a_condition_reads_back_as_it_is_shown(field: str, operator: str, value: str) -> None:
    # A value that begins with a sign would lengthen the operator.
    condition = Condition(field, operator, value.lstrip("=<>~ "))
    assert Condition.of_text(str(condition)) == condition
    assert Condition.of_json(condition.as_json()) == condition


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists), st.text())
def test_anything_can_be_compared(value: Any, wanted: str) -> None:
    for operator in OPERATORS:
        assert Condition("a", operator, wanted).holds({"a": value}) in (True, False)


def test_a_condition_on_a_column_that_is_not_there_is_refused() -> None:
    where = (Condition("nowhere", "=", "1"),)
    with pytest.raises(BadMapping, match="A condition names the column 'nowhere'"):
        Mapping(Target.TEXT, {"text": "{a}"}, where=where).check(["a"])


def test_a_field_that_is_learnt_is_not_kept_beside_the_row() -> None:
    with pytest.raises(BadMapping, match="prompt can't be kept"):
        Mapping(Target.TEXT, {"text": "{a}"}, keep=("prompt",)).check(["a", "prompt"])
