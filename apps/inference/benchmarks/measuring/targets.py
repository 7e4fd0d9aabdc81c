"""The times to first token that a warm prompt should stay below.

They hold for the "same system prompt" turn on a machine with a GPU: 1B in 50 ms,
3B in 75 ms, 7B in 100 ms. A model counts for the class its size is nearest to
from below, with some room, because a "7B" has up to 8 billion weights.
"""

from __future__ import annotations

import re

_TARGETS = ((1.7e9, 0.050), (4.0e9, 0.075), (9.0e9, 0.100))

_SIZE_IN_NAME = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)\s?([bm])(?![a-z0-9])", re.IGNORECASE)


def warm_target(parameters: int | None) -> float | None:
    """Seconds; None for a larger model, or one whose size is not known."""
    if parameters is None:
        return None
    return next((seconds for limit, seconds in _TARGETS if parameters <= limit), None)


def parameters_in_name(name: str) -> int | None:
    """The size that a model's name tells, as in ``Qwen2.5-0.5B-Instruct``; None if it tells none.

    For models of other servers, about which nothing else is known.
    """
    found = _SIZE_IN_NAME.search(name)
    if found is None:
        return None
    return round(float(found[1]) * (1e9 if found[2].lower() == "b" else 1e6))
