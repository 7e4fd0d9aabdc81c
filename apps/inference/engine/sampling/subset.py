"""Work on some rows of a batch, so that the others pay nothing for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import mlx.core as mx

Row = TypeVar("Row")


def on_rows(
    array: mx.array,
    rows: Sequence[Row],
    wanted: Callable[[Row], bool],
    change: Callable[[mx.array, list[Row]], mx.array],
) -> mx.array:
    """``array`` with ``change`` made to the rows that are wanted.

    Args:
        array: first axis as long as ``rows``.
        change: gets the wanted part of ``array`` and of ``rows``, and returns a new
            value of the same shape for it.
    """
    places = [i for i, row in enumerate(rows) if wanted(row)]
    if not places:
        return array
    chosen = [rows[i] for i in places]
    if len(places) == len(rows):
        return change(array, chosen)
    at = mx.array(places)
    # A slice is an array of its own: assigning to it leaves the caller's as it is.
    changed = array[:]
    changed[at] = change(array[at], chosen)
    return changed
