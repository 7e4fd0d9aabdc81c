"""A model's config.json as the estimates read it: one meaning, under whichever name it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def text_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The language model's part of a multimodal model's configuration."""
    nested = config.get("text_config")
    return {**config, **nested} if isinstance(nested, dict) else dict(config)


def integer(config: Mapping[str, Any], *names: str) -> int:
    """The first of ``names`` that holds a positive whole number, or 0."""
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return 0
