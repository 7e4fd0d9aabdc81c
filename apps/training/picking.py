"""Rows that stand for a whole file: spread over it, and over the lengths that they have."""

from __future__ import annotations

from pathlib import Path

from apps.training.errors import BadOrder

LOOKED_AT = 400
"""Rows that those are picked from."""


def picked(path: Path, count: int) -> list[bytes]:
    """``count`` lines of a JSONL file, the shortest first; some twice where it has fewer.

    Raises BadOrder where it has none, or can't be read.
    """
    try:
        with path.open("rb") as file:
            size = sum(1 for line in file if line.strip())
        every = max(size // LOOKED_AT, 1)
        with path.open("rb") as file:
            lines = [line for number, line in enumerate(file) if number % every == 0]
    except OSError as error:
        raise BadOrder(f"{path} can't be read: {error.strerror or error}.") from error
    lines = sorted((line.rstrip(b"\n") + b"\n" for line in lines if line.strip()), key=len)
    if not lines:
        raise BadOrder(f"{path.name} has no rows. Add some, or choose other data.")
    return [lines[place * len(lines) // count] for place in range(count)]
