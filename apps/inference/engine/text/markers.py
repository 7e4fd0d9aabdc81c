"""Markers in text that comes in pieces: where one stands, and where one may have begun."""

from __future__ import annotations

from collections.abc import Sequence


def first_marker(text: str, markers: Sequence[str]) -> tuple[int, str] | None:
    """Where the marker that is whole first begins, and which it is; the longest at a tie.

    That is the one which is found in text that comes piece by piece, however it is cut.
    """
    found = [(at + len(marker), at, marker) for marker in markers if (at := text.find(marker)) >= 0]
    if not found:
        return None
    _, at, marker = min(found)
    return at, marker


def possible_start(text: str, markers: Sequence[str]) -> int:
    """Where the longest suffix of ``text`` that begins a marker starts; its length if none does."""
    longest = max(map(len, markers), default=0) - 1
    for at in range(max(0, len(text) - longest), len(text)):
        tail = text[at:]
        if any(marker.startswith(tail) for marker in markers):
            return at
    return len(text)
