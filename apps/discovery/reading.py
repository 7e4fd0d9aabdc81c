"""Values out of an answer of the hub. It is untrusted: a wrong type is like nothing at all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

MAX_TEXT = 300
"""Characters of a value that is shown in a line."""

MAX_ITEMS = 500
"""Of a list, such as a model's tags."""

_MAX_NUMBER = 2**53


def table(value: object) -> Mapping[str, Any]:
    """``value`` as a JSON object; empty where it is none."""
    return value if isinstance(value, dict) else {}


def text(value: object) -> str:
    """``value`` as one printable line of at most MAX_TEXT characters."""
    if not isinstance(value, str):
        return ""
    return "".join(each for each in value[:MAX_TEXT] if each.isprintable()).strip()


def texts(value: object) -> tuple[str, ...]:
    """The lines in a list, or the one line that stands for a list of one."""
    items = value if isinstance(value, list) else [value]
    return tuple(line for each in items[:MAX_ITEMS] if (line := text(each)))


def count(value: object) -> int | None:
    """``value`` as a number of things, not negative."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= _MAX_NUMBER else None


def moment(value: object) -> datetime | None:
    """``value`` as a time; without a zone it is UTC."""
    try:
        at = datetime.fromisoformat(text(value))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
