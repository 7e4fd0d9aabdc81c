"""Rows that are nearly equal, by MinHash and locality-sensitive hashing.

A row's signature has the least hash of its shingles in each of 64 bins: one permutation
hashing (Li, Owen and Zhang, NIPS 2012), empty bins filled from the next one (Shrivastava
and Li, ICML 2014). Two signatures agree in about as many bins as the sets have in common,
their Jaccard similarity. Rows that agree in a whole band of bins are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import polars as pl

SHINGLE_BYTES = 8
"""Of lower-case text with single spaces: a word and a bit."""
BINS = 64
BANDS = 12
BAND_BINS = 5
"""Twelve bands of five bins find 99 of 100 pairs of similarity 0.8, and 1 in 30 of 0.3."""
THRESHOLD = 0.8

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_EMPTY = np.uint32(0xFFFFFFFF)
_BIN_STARTS = np.arange(BINS, dtype=np.uint64) << np.uint64(58)
_SMEAR = np.uint64(29)
_ANCHOR_ROUNDS = 3
"""Anchors that a row is compared with in each bucket before it counts as none's twin."""


def signature(text: str) -> np.ndarray:
    """BINS values of 32 bits; all of them empty for a text shorter than a shingle."""
    data = " ".join(text.lower().split()).encode()
    if len(data) < SHINGLE_BYTES:
        return np.full(BINS, _EMPTY, np.uint32)
    return _densified(_least(np.sort(_hashes(data))))


def near_duplicates(
    signatures: np.ndarray, *, threshold: float = THRESHOLD, tell: Callable[[float], None]
) -> pl.DataFrame:
    """The rows that are nearly equal to an earlier one: ``number``, ``of``, ``similarity``.

    ``signatures``: shape (rows, BINS), 32 bits; it may be a file in memory.
    """
    of = np.full(len(signatures), -1, np.int64)
    best = np.zeros(len(signatures), np.float32)
    usable = signatures[:, 0] != _EMPTY
    for band in range(BANDS):
        tell(band / BANDS)
        for anchors, others in _candidates(signatures, usable, band):
            similarity = _agreement(signatures, anchors, others)
            better = (similarity >= threshold) & (similarity > best[others])
            of[others[better]] = anchors[better]
            best[others[better]] = similarity[better]
    numbers = np.flatnonzero(of >= 0)
    return pl.DataFrame(
        {
            "number": numbers.astype(np.uint32),
            "of": of[numbers].astype(np.uint32),
            "similarity": best[numbers],
        }
    )


def _candidates(
    signatures: np.ndarray, usable: np.ndarray, band: int
) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Pairs of rows that agree in a band, the earlier first: each row with the first few of
    its bucket, so that a bucket of a million equal rows is no trillion pairs."""
    keys = np.zeros(len(signatures), np.uint64)
    for column in range(band * BAND_BINS, (band + 1) * BAND_BINS):
        keys = (keys ^ signatures[:, column]) * _MULTIPLIER
        keys ^= keys >> _SMEAR
    rows = np.flatnonzero(usable)
    order = rows[np.argsort(keys[rows], kind="stable")]
    sorted_keys = keys[order]
    starts = np.flatnonzero(np.r_[True, sorted_keys[1:] != sorted_keys[:-1]])
    sizes = np.diff(np.r_[starts, len(order)])
    first = np.repeat(starts, sizes)
    places = np.arange(len(order))
    for anchor in range(_ANCHOR_ROUNDS):
        behind = places - first > anchor
        yield order[first[behind] + anchor], order[places[behind]]


def _agreement(signatures: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The share of bins in which pairs of rows agree, a slice at a time."""
    result = np.empty(len(one), np.float32)
    for start in range(0, len(one), 65_536):
        part = slice(start, start + 65_536)
        result[part] = (signatures[one[part]] == signatures[other[part]]).mean(axis=1)
    return result


def _hashes(data: bytes) -> np.ndarray:
    """A 64-bit hash of each run of SHINGLE_BYTES bytes."""
    bytes_ = np.frombuffer(data, np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(bytes_, SHINGLE_BYTES)
    values = np.ascontiguousarray(windows).view(np.uint64).ravel()
    values = (values ^ (values >> np.uint64(32))) * _MULTIPLIER
    values = (values ^ (values >> _SMEAR)) * _MULTIPLIER
    mixed: np.ndarray = values ^ (values >> np.uint64(32))
    return mixed


def _least(ordered: np.ndarray) -> np.ndarray:
    """The least of the sorted hashes in each bin, which the top six bits number."""
    places = np.searchsorted(ordered, _BIN_STARTS)
    found = ordered[np.minimum(places, len(ordered) - 1)]
    filled = (places < len(ordered)) & (found >> np.uint64(58) == np.arange(BINS))
    values = ((found >> np.uint64(26)) & np.uint64(0xFFFFFFFE)).astype(np.uint32)
    return np.where(filled, values, _EMPTY)


def _densified(values: np.ndarray) -> np.ndarray:
    """Empty bins take the value of the next one that is not, smeared by the distance."""
    empty = values == _EMPTY
    if not empty.any():
        return values
    filled = np.flatnonzero(~empty)
    after = filled[np.searchsorted(filled, np.arange(BINS)) % len(filled)]
    distance = (after - np.arange(BINS)) % BINS
    moved = values[after].astype(np.uint64) + distance.astype(np.uint64) * np.uint64(0x9E3779B1)
    return np.where(empty, (moved & np.uint64(0xFFFFFFFE)).astype(np.uint32), values)
