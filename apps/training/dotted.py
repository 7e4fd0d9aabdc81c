"""Settings by dotted names: ``{"lora": {"rank": 8}}`` has ``lora.rank``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def by_dotted_names(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is no group itself, with its name; groups may lie in groups."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from by_dotted_names(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
