"""Rows as Parquet: one table for a split, with columns of one type each.

Types can't be left to the first rows: a tool call's arguments are an object of other fields
in each row, and a table would give every row the fields of all. So what is learnt has the
types written here, arguments and tools are JSON texts, which the import reads back, and any
other field is text where it is not alike in all rows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from apps.datasets.formats.fields import as_text
from apps.datasets.formats.shapes import shaped

_ROWS_AT_ONCE = 20_000
"""Made a table of at a time; the parts are then joined without being in memory."""

_CALL = pl.Struct(
    {
        "id": pl.String,
        "type": pl.String,
        "function": pl.Struct({"name": pl.String, "arguments": pl.String}),
    }
)
_MESSAGE = pl.Struct(
    {
        "role": pl.String,
        "content": pl.String,
        "name": pl.String,
        "tool_call_id": pl.String,
        "reasoning_content": pl.String,
        "tool_calls": pl.List(_CALL),
    }
)
_TEXTS = ("completion", "chosen", "rejected", "text")
_PLAIN: dict[type, Any] = {bool: pl.Boolean, int: pl.Int64, float: pl.Float64, str: pl.String}
_LEARNT_OF_A_MESSAGE = ("role", "content", "name", "tool_call_id", "reasoning_content")


def write_parquet(rows: Iterable[dict[str, Any]], path: Path, fields: Iterable[str]) -> None:
    """Write the rows as one Parquet file. ``fields``: all that any of them has, with types.

    Bounded memory: parts of 20,000 rows, joined at the end.
    """
    schema = schema_of(fields)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".parts-") as folder:
        parts = []
        for number, batch in enumerate(_batches(rows)):
            part = Path(folder) / f"{number}.parquet"
            records = [_cells(row, schema) for row in batch]
            pl.DataFrame(records, schema=schema, orient="row").write_parquet(part)
            parts.append(part)
        pl.scan_parquet(parts).sink_parquet(path, compression="zstd")


def fields_in(rows: Iterable[dict[str, Any]]) -> list[str]:
    """What all fields of the rows are called, with the type that all their values have."""
    found: dict[str, set[str]] = {}
    for row in rows:
        for name, value in row.items():
            kind = "list" if isinstance(value, list) else type(value).__name__
            found.setdefault(name, set()).add(kind)
    return [f"{name}:{'|'.join(sorted(kinds - {'NoneType'}))}" for name, kinds in found.items()]


def schema_of(fields: Iterable[str]) -> dict[str, Any]:
    """The type of each column, of what ``fields_in`` found."""
    by_name = {kind.__name__: column for kind, column in _PLAIN.items()}
    schema: dict[str, Any] = {}
    for field in fields:
        name, _, kinds = field.rpartition(":")
        if name == "messages" or (name == "prompt" and kinds == "list"):
            schema[name] = pl.List(_MESSAGE)
        else:
            schema[name] = pl.String if name in _TEXTS else by_name.get(kinds, pl.String)
    return schema


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, _ROWS_AT_ONCE)):
        yield batch


def _cells(row: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    return {name: _cell(row.get(name), kind) for name, kind in schema.items()}


def _cell(value: Any, kind: Any) -> Any:
    if value is None:
        return None
    if kind == pl.List(_MESSAGE):
        return [_message(each) for each in value] if isinstance(value, list) else []
    return as_text(value) if kind == pl.String else value


def _message(message: Any) -> dict[str, Any]:
    given = message if isinstance(message, dict) else {"content": message}
    cells = {
        name: as_text(given[name]) if given.get(name) is not None else None
        for name in _LEARNT_OF_A_MESSAGE
    }
    calls = shaped({"messages": [given]}, "openai")["messages"][0].get("tool_calls")
    return cells | {"tool_calls": [_call(call) for call in calls] if calls else None}


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return {
        "id": call.get("id"),
        "type": call.get("type", "function"),
        "function": {"name": function.get("name"), "arguments": function.get("arguments")},
    }
