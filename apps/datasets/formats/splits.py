"""Which rows to train on and which to validate with, by a seed and so the same every time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shares:
    """Fractions of the rows; the rest is trained on."""

    valid: float
    test: float = 0.0


def assign(
    groups: np.ndarray, shares: Shares, seed: int, strata: np.ndarray | None = None
) -> np.ndarray:
    """The split of each row, 0, 1 or 2 for train, valid and test.

    ``groups``: rows with the same number stay together; equal rows have to, or validation
    would measure what was learnt by heart. ``strata``: each of its numbers is split by itself.
    """
    result = np.zeros(len(groups), np.uint8)
    for stratum in [None] if strata is None else np.unique(strata):
        rows = np.arange(len(groups)) if stratum is None else np.flatnonzero(strata == stratum)
        result[rows] = _assign(groups[rows], shares, np.random.default_rng((seed, len(rows))))
    if strata is not None:
        _reunite(result, groups)
    return result


def _assign(groups: np.ndarray, shares: Shares, random: np.random.Generator) -> np.ndarray:
    _, member_of, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = random.permutation(len(sizes))
    before = np.cumsum(sizes[order]) - sizes[order]
    total = len(groups)
    split_of = np.zeros(len(sizes), np.uint8)
    held_out = shares.valid + shares.test
    split_of[order[before < round(held_out * total)]] = 2
    split_of[order[before < round(shares.valid * total)]] = 1
    # Nothing can be learnt from nothing: with very few rows training comes first.
    if total and not (split_of == 0).any():
        split_of[order[-1]] = 0
    return split_of[member_of]


def _reunite(splits: np.ndarray, groups: np.ndarray) -> None:
    """Give a group that lies in several strata the split of its first row."""
    _, first, member_of = np.unique(groups, return_index=True, return_inverse=True)
    splits[:] = splits[first][member_of]
