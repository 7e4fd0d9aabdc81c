"""A record's fields by their paths, and any value as text."""

from __future__ import annotations

from typing import Any

import orjson


def field_of(record: dict[str, Any], path: str) -> Any:
    """A column by its name, else a nested field by its dotted path; None where there is none."""
    if path in record:
        return record[path]
    value: Any = record
    for step in path.split("."):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def as_text(value: Any) -> str:
    """A value as text; what is no text as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
