"""Conditions on records: a field, how it is compared, and with what. A record has to meet all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from apps.datasets.formats.errors import BadMapping
from apps.datasets.formats.fields import as_text, field_of

MAX_CONDITIONS = 20

OPERATORS = {
    "=": "is",
    "!=": "is not",
    "~": "contains",
    "!~": "does not contain",
    ">=": "is at least",
    "<=": "is at most",
    ">": "is more than",
    "<": "is less than",
}
"""As they are written, and in words. Longer ones stand before those that they begin with."""

_WRITTEN = re.compile(
    r"\A\s*(?P<field>[^=~<>!][^=~<>]*?)\s*(?P<operator>!=|!~|>=|<=|=|~|>|<)\s*(?P<value>.*)\Z", re.S
)


@dataclass(frozen=True)
class Condition:
    """One comparison of a field, by its column's name or its dotted path."""

    field: str
    operator: str
    value: str
    """Compared as a number where both sides are one; letters compare without their case."""

    def __str__(self) -> str:
        return f"{self.field} {self.operator} {self.value}".rstrip()

    def as_json(self) -> list[str]:
        """What ``of_json`` reads."""
        return [self.field, self.operator, self.value]

    @classmethod
    def of_json(cls, value: Sequence[str]) -> Condition:
        """Raises BadMapping."""
        field, operator, wanted = value
        if operator not in OPERATORS:
            raise BadMapping(f"{operator!r} compares nothing. There are: {', '.join(OPERATORS)}.")
        return cls(field, operator, wanted)

    @classmethod
    def of_text(cls, text: str) -> Condition:
        """As it is written: ``score >= 4``; ``topic =`` asks for an empty one. Raises BadMapping."""
        found = _WRITTEN.match(text)
        if found is None:
            raise BadMapping(
                f"{text!r} is no condition. Write a column, one of {' '.join(OPERATORS)}, and a "
                "value, as in: score >= 4"
            )
        return cls(found["field"], found["operator"], found["value"].strip())

    def holds(self, record: dict[str, Any]) -> bool:
        """Whether a record meets it; a field that is not there is as one that is empty."""
        found = field_of(record, self.field)
        return _TESTS[self.operator](found, self.value)


def all_hold(conditions: Iterable[Condition], record: dict[str, Any]) -> bool:
    """Whether the record is as every one of them says; with none, it is."""
    return all(condition.holds(record) for condition in conditions)


def _number(value: Any) -> float | None:
    """A number, also one that is written as text, as tables have it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _equal(found: Any, wanted: str) -> bool:
    one, other = _number(found), _number(wanted)
    if one is not None and other is not None:
        return one == other
    return as_text(found).strip().casefold() == wanted.casefold()


def _contains(found: Any, wanted: str) -> bool:
    return wanted.casefold() in as_text(found).casefold()


def _ordered(compare: Callable[[float, float], bool]) -> Callable[[Any, str], bool]:
    """Numbers by their size; what is none meets no such condition."""

    def test(found: Any, wanted: str) -> bool:
        one, other = _number(found), _number(wanted)
        return one is not None and other is not None and compare(one, other)

    return test


_TESTS: dict[str, Callable[[Any, str], bool]] = {
    "=": _equal,
    "!=": lambda found, wanted: not _equal(found, wanted),
    "~": _contains,
    "!~": lambda found, wanted: not _contains(found, wanted),
    ">=": _ordered(lambda one, other: one >= other),
    "<=": _ordered(lambda one, other: one <= other),
    ">": _ordered(lambda one, other: one > other),
    "<": _ordered(lambda one, other: one < other),
}
