"""JSON Lines: an object on each line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from apps.datasets.formats.limits import MAX_COLUMNS
from apps.datasets.formats.reading.lines import lines_of
from apps.datasets.formats.reading.records import Fault, Read, Record, Unreadable, sample_of
from apps.datasets.formats.reading.syntax import syntax_in_words

_BLANK = b" \t\r"
_KINDS = {str: "A text", list: "An array", bool: "A truth value", type(None): "Null"}
"""What JSON has beside objects and numbers."""


def read_json_lines(chunks: Iterable[bytes]) -> Iterator[Read]:
    """A record or a fault for each line that is not blank."""
    for number, line in enumerate(lines_of(chunks), 1):
        if line is None:
            yield Unreadable(number, Fault.TOO_LONG, "The line is longer than 8 MB.")
        elif line.strip(_BLANK):
            yield _record(number, line)


def record_of(number: int, value: object) -> Read:
    """A parsed value as a record, where it can be one."""
    if not isinstance(value, dict):
        kind = _KINDS.get(type(value), "A number")
        detail = f"{kind} stands where an object in braces should."
        return Unreadable(number, Fault.NOT_AN_OBJECT, detail)
    if len(value) > MAX_COLUMNS:
        detail = f"The object has {len(value):,} keys; {MAX_COLUMNS:,} are taken."
        return Unreadable(number, Fault.TOO_MANY_COLUMNS, detail)
    return Record(number, value)


def _record(number: int, line: bytes) -> Read:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        try:
            text = line.decode()
        except UnicodeDecodeError as broken:
            return Unreadable(number, Fault.ENCODING, f"Byte {broken.start + 1} is not UTF-8.")
        if "\0" in text:
            return Unreadable(number, Fault.NUL, "The line holds a NUL character.")
        what = syntax_in_words(error)
        detail = f"Character {error.colno:,}: {what}: {sample_of(text)}"
        return Unreadable(number, Fault.SYNTAX, detail)
    return record_of(number, value)
