"""What components/stat_tile.html shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tile:
    """One number with its label. ``tone`` colours the value: ok, warn, bad or empty."""

    label: str
    value: str
    note: str = ""
    tone: str = ""
