"""What reading yields: records, and what could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from apps.datasets.formats.limits import SAMPLE_CHARACTERS


class Fault(StrEnum):
    """Why something could not be read."""

    SYNTAX = "syntax"
    NOT_AN_OBJECT = "not_an_object"
    TOO_LONG = "too_long"
    TOO_MANY_COLUMNS = "too_many_columns"
    ENCODING = "encoding"
    NUL = "nul"
    FIELDS = "fields"
    FILE = "file"


FAULTS = {
    Fault.SYNTAX: "not valid JSON",
    Fault.NOT_AN_OBJECT: "not an object",
    Fault.TOO_LONG: "longer than 8 MB",
    Fault.TOO_MANY_COLUMNS: "more than 2,000 columns",
    Fault.ENCODING: "not valid text in its encoding",
    Fault.NUL: "holds a NUL character",
    Fault.FIELDS: "more fields than columns",
    Fault.FILE: "a file that can't be read",
}
"""Each fault in words, as in "3 lines: not valid JSON"."""


@dataclass(frozen=True, slots=True)
class Record:
    """One object of a source, as it stands there."""

    line: int
    """Line it begins on, from 1; element or row where the format has no lines."""
    value: dict[str, Any]
    file: str = ""
    """Name within a folder or archive."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A place of a source that gave no record."""

    line: int
    fault: Fault
    detail: str
    """What exactly, for people."""
    file: str = ""


Read: TypeAlias = Record | Unreadable


def sample_of(text: str) -> str:
    """The beginning of a text, to show."""
    return text[:SAMPLE_CHARACTERS] + ("…" if len(text) > SAMPLE_CHARACTERS else "")
