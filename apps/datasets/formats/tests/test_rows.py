"""From records to rows: recognised, mapped, judged, masked, compared and split."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.datasets.formats.checks import Problem, problems_of
from apps.datasets.formats.errors import BadMapping
from apps.datasets.formats.kinds import recognise
from apps.datasets.formats.mapping import Mapping, Target, filled
from apps.datasets.formats.near import near_duplicates, signature
from apps.datasets.formats.personal import EVERY, Personal, masked, personal_in
from apps.datasets.formats.splits import Shares, assign

USER, ANSWER = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
SHAREGPT = {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}
CALL = {"type": "function", "function": {"name": "w", "arguments": '{"city": "Rome"}'}}
TOOL = {"type": "function", "function": {"name": "w", "parameters": {}}}


@pytest.mark.parametrize(
    ("record", "kind", "row"),
    [
        (SHAREGPT, "sharegpt", {"messages": [USER, ANSWER]}),
        ({"messages": [USER, ANSWER]}, "openai", {"messages": [USER, ANSWER]}),
        (
            {"instruction": "Hi", "input": "", "output": "Hello"},
            "alpaca",
            {"messages": [USER, ANSWER]},
        ),
        (
            {"prompt": "Hi", "completion": "Hello"},
            "completion",
            {"prompt": "Hi", "completion": "Hello"},
        ),
        (
            {"chosen": [USER, ANSWER], "rejected": [USER, {"role": "assistant", "content": "No"}]},
            "preference",
            {"prompt": [USER], "chosen": "Hello", "rejected": "No"},
        ),
        ({"text": "Hi"}, "text", {"text": "Hi"}),
        (
            {
                "messages": [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}],
                "tools": [TOOL],
            },
            "tools",
            {
                "messages": [
                    USER,
                    {
                        "role": "assistant",
                        "content": "",
                        "tool_calls": [
                            {
                                "type": "function",
                                "function": {"name": "w", "arguments": {"city": "Rome"}},
                            }
                        ],
                    },
                ],
                "tools": [TOOL],
            },
        ),
    ],
)
def test_a_known_shape_is_recognised_and_mapped_without_a_problem(
    record: dict[str, Any], kind: str, row: dict[str, Any]
) -> None:
    found = recognise([record] * 3)
    assert found.name == kind
    assert found.mapping.apply(record) == row
    assert problems_of(row) == Problem(0)


def test_columns_that_tell_nothing_are_unknown() -> None:
    assert recognise([{"a": 1, "b": 2}]).name == "unknown"
    assert recognise([]).name == "unknown"


def test_a_template_joins_columns_fields_and_constants() -> None:
    record = {"q": "Why?", "meta": {"tags": ["x", "y"]}, "empty": None, "a.b": "dotted"}
    template = "Q: {q}\n\n{empty}\n\n{meta.tags.1} {{literal}} {a.b} {nowhere}"
    assert filled(template, record) == "Q: Why?\n\ny {literal} dotted"


def test_a_mapping_without_its_roles_is_refused() -> None:
    with pytest.raises(BadMapping, match="completion"):
        Mapping(Target.COMPLETION, {"prompt": "{a}"}).check(["a"])


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({}, Problem.NO_FIELDS),
        ({"text": 1}, Problem.NOT_TEXT),
        ({"text": " \n"}, Problem.EMPTY),
        ({"messages": []}, Problem.EMPTY),
        ({"messages": ["Hi"]}, Problem.NOT_TEXT),
        ({"messages": [USER]}, Problem.ONE_SIDED),
        ({"messages": [USER, USER, ANSWER]}, Problem.WRONG_ORDER),
        ({"messages": [ANSWER, USER, ANSWER]}, Problem.WRONG_ORDER),
        ({"messages": [USER, ANSWER, USER]}, Problem.NO_ANSWER),
        ({"messages": [USER, ANSWER, {"role": "narrator", "content": "x"}]}, Problem.UNKNOWN_ROLE),
        ({"messages": [USER, ANSWER | {"tool_calls": [{"function": {}}]}]}, Problem.BAD_TOOL_CALL),
        ({"prompt": "a", "completion": "and so on..."}, Problem.TRUNCATED),
        ({"prompt": "a", "completion": "```python\nx"}, Problem.TRUNCATED),
        ({"text": "=SUM(A1:A3)"}, Problem.FORMULA),
        ({"text": "schÃ¶n"}, Problem.ODD_CHARACTERS),
        ({"text": "a\x07b"}, Problem.ODD_CHARACTERS),
        ({"text": "x" * 100_001}, Problem.OVERSIZED),
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, Problem.SAME_ANSWERS),
    ],
)
def test_what_is_wrong_with_a_row_is_told(row: dict[str, Any], problem: Problem) -> None:
    assert problem in problems_of(row)


ANYTHING = st.recursive(
    st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["role", "content", "tool_calls", "function", "name", "arguments"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
NAMES = st.sampled_from(["messages", "tools", "prompt", "completion", "text", "chosen", "rejected"])


@given(st.dictionaries(NAMES, ANYTHING, max_size=4))
def test_a_row_of_anything_is_judged(row: dict[str, Any]) -> None:
    assert isinstance(problems_of(row), Problem)
    masked(row)


@given(ANYTHING)
def test_a_record_of_anything_is_mapped(value: Any) -> None:
    for target, roles in (
        (Target.CHAT, {"messages": "{m}", "tools": "{m}"}),
        (Target.PREFERENCE, {"prompt": "{m}", "chosen": "{m}", "rejected": "{m}"}),
        (Target.TEXT, {"text": "{m}"}),
    ):
        assert Mapping(target, roles).apply({"m": value})


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Write to jo.doe+x@mail.example.org!", Personal.EMAIL),
        ("Call +49 170 1234567 now", Personal.PHONE),
        ("or (030) 123-4567", Personal.PHONE),
        ("4111 1111 1111 1111", Personal.CARD),
        ("token ghp_" + "a1B2" * 9, Personal.KEY),
    ],
)
def test_personal_data_is_found_and_masked(text: str, kind: Personal) -> None:
    assert personal_in([text]) == kind
    hidden = masked({"messages": [{"content": text}]}, EVERY)["messages"][0]["content"]
    assert f"[{kind.name}]" in hidden
    assert personal_in([hidden]) == Personal(0)


@pytest.mark.parametrize(
    "text",
    ["On 2024-01-31 at 12:30", "pi is 3.14159265358", "1234567890 rows", "a @ b", "v1.2.3.4"],
)
def test_other_numbers_are_not_personal(text: str) -> None:
    assert personal_in([text]) == Personal(0)


def test_near_duplicates_are_found_and_others_are_not() -> None:
    chance = random.Random(0)
    words = [f"word{i}" for i in range(2_000)]
    texts = [" ".join(chance.choices(words, k=120)) for _ in range(200)]
    copies = [text + " and a little more" for text in texts[:50]]
    signatures = np.stack([signature(text) for text in texts + copies])
    found = near_duplicates(signatures, tell=lambda fraction: None)
    assert set(found.get_column("number")) == set(range(200, 250))
    assert (found.get_column("of") == found.get_column("number") - 200).all()


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=200),
    st.floats(0, 0.5),
    st.floats(0, 0.4),
    st.integers(0, 2**31 - 1),
)
def test_a_split_is_the_same_every_time_and_leaves_something_to_train_on(
    groups: list[int], valid: float, test: float, seed: int
) -> None:
    keys = np.array(groups)
    splits = assign(keys, Shares(valid, test), seed)
    assert (splits == assign(keys, Shares(valid, test), seed)).all()
    assert (splits == 0).any()
    assert all(len(set(splits[keys == key])) == 1 for key in set(groups))


def test_each_stratum_is_split_by_the_same_share() -> None:
    strata = np.repeat([0, 1], [80, 20])
    splits = assign(np.arange(100), Shares(0.25), 1, strata)
    assert [int((splits[strata == stratum] == 1).sum()) for stratum in (0, 1)] == [20, 5]
