"""Rows in other programs' shapes, and what reading them back brings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.datasets.formats.kinds import recognise
from apps.datasets.formats.parquet_export import fields_in, write_parquet
from apps.datasets.formats.reading.records import Record
from apps.datasets.formats.reading.source import read_source
from apps.datasets.formats.shapes import shaped

CALL = {"id": "1", "type": "function", "function": {"name": "sum", "arguments": {"a": 1}}}
CHAT: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
    ],
    "topic": "greeting",
}
TOOLS: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": "1+1?"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "2"},
        {"role": "assistant", "content": "It is 2."},
    ],
    "tools": [{"type": "function", "function": {"name": "sum", "parameters": {"x": [1, None]}}}],
}
PAIR = {"prompt": [{"role": "user", "content": "Hi"}], "chosen": "Hello!", "rejected": "What?"}


def read_back(rows: list[dict[str, Any]], tmp_path: Path) -> list[dict[str, Any]]:
    """Rows that an import makes of records, by itself."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return mapped(path)


def mapped(path: Path) -> list[dict[str, Any]]:
    records = [read.value for read in read_source(path) if isinstance(read, Record)]
    mapping = recognise(records).mapping
    return [mapping.apply(record) for record in records]


def learnt(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "topic"}


@pytest.mark.parametrize("shape", ["openai", "sharegpt", "jsonl"])
@pytest.mark.parametrize("row", [CHAT, {"prompt": "Why?", "completion": "So."}])
def test_conversations_come_back_the_same(shape: Any, row: dict[str, Any], tmp_path: Path) -> None:
    again = read_back([shaped(row, shape)], tmp_path)
    said = shaped(row, "openai") if shape != "jsonl" else row
    assert again == [learnt(said)]


def test_openai_has_tool_arguments_as_text(tmp_path: Path) -> None:
    out = shaped(TOOLS, "openai")
    assert out["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"a":1}'
    assert read_back([out], tmp_path) == [TOOLS]


def test_sharegpt_has_senders_and_calls_as_turns() -> None:
    out = shaped(TOOLS, "sharegpt")
    senders = [turn["from"] for turn in out["conversations"]]
    assert senders == ["human", "function_call", "observation", "gpt"]
    assert json.loads(out["conversations"][1]["value"]) == {"name": "sum", "arguments": {"a": 1}}
    assert json.loads(out["tools"]) == TOOLS["tools"]


def test_pairs_have_the_shape_that_openai_documents() -> None:
    assert shaped(PAIR, "openai") == {
        "input": {"messages": [{"role": "user", "content": "Hi"}]},
        "preferred_output": [{"role": "assistant", "content": "Hello!"}],
        "non_preferred_output": [{"role": "assistant", "content": "What?"}],
    }
    assert shaped(PAIR, "sharegpt")["chosen"] == {"from": "gpt", "value": "Hello!"}


def test_what_is_kept_beside_the_row_stays() -> None:
    assert shaped(CHAT, "sharegpt")["topic"] == "greeting"


@pytest.mark.parametrize(
    "rows",
    [
        [CHAT, CHAT],
        [TOOLS],
        [PAIR],
        [{"prompt": "Why?", "completion": "So."}],
        [{"text": "One."}, {"text": "Two."}],
    ],
)
def test_parquet_comes_back_the_same(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    write_parquet(rows, path, fields_in(rows))
    assert mapped(path) == [learnt(row) for row in rows]


def test_arguments_of_one_call_do_not_appear_in_another(tmp_path: Path) -> None:
    other = {**CALL, "function": {"name": "sum", "arguments": {"b": [2]}}}
    rows = [
        TOOLS,
        {"messages": [TOOLS["messages"][0], {**TOOLS["messages"][1], "tool_calls": [other]}]},
    ]
    path = tmp_path / "rows.parquet"
    write_parquet(rows, path, fields_in(rows))
    calls = [row["messages"][1]["tool_calls"][0]["function"]["arguments"] for row in mapped(path)]
    assert calls == [{"a": 1}, {"b": [2]}]


def test_a_field_of_several_types_is_text(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"text": "a", "n": 1, "m": 1}, {"text": "b", "n": "x", "m": None}]
    path = tmp_path / "rows.parquet"
    write_parquet(rows, path, fields_in(rows))
    assert pl.read_parquet(path).to_dicts() == [
        {"text": "a", "n": "1", "m": 1},
        {"text": "b", "n": "x", "m": None},
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["text", "messages", "n", "prompt"]), JSON), min_size=1
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_any_rows_can_be_written(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    path = tmp_path / "rows.parquet"
    write_parquet(rows, path, fields_in(rows) or ["text:str"])
    assert pl.read_parquet(path).height == len(rows)
