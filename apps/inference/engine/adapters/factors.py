"""What adapters add to one layer of the base: low-rank factors, of one or of several.

LoRA (Hu et al. 2021, arXiv:2106.09685) adds ``scale · x A B`` to a layer's output.
DoRA (Liu et al. 2024, arXiv:2402.09353) then multiplies each output by a learned
magnitude over the norm of the adapted weights; that quotient depends on no input,
so it is computed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mlx.core as mx

Columns = tuple[tuple[int, int], ...]
"""Whose the columns of ``a`` are, from left to right: a slot and how many."""


@dataclass(frozen=True)
class Factors:
    """One adapter's part in one layer."""

    a: mx.array
    """(in, rank); (experts, in, rank) for a mixture of experts; (vocabulary, rank) to embed."""
    b: mx.array
    """(rank, out), the scale multiplied in; (experts, rank, out) for a mixture of experts."""
    magnitude: mx.array | None = None
    """DoRA's factor for each output, (out,); for each token of an embedding, (vocabulary,)."""

    @property
    def rank(self) -> int:
        return int(self.a.shape[-1])

    @property
    def arrays(self) -> list[mx.array]:
        return [self.a, self.b] + ([] if self.magnitude is None else [self.magnitude])

    @property
    def nbytes(self) -> int:
        return sum(int(array.nbytes) for array in self.arrays)


@dataclass(frozen=True)
class JoinedFactors(Factors):
    """Several adapters' parts side by side, so that two products serve them all.

    A row keeps the columns of ``x @ a`` that are its adapter's and zeroes the rest,
    so ranks may differ. ``magnitude`` has a row for each slot; slot 0 is for rows
    without an adapter.
    """

    columns: Columns = ()


def join(adapters: Sequence[str], parts: Mapping[str, Factors]) -> JoinedFactors | None:
    """The parts of ``adapters`` in that order, the first in slot 1.

    None where none of them has a part in the layer.
    """
    present = [(slot, parts[one]) for slot, one in enumerate(adapters, 1) if one in parts]
    if not present:
        return None
    return JoinedFactors(
        a=mx.concatenate([part.a for _, part in present], axis=-1),
        b=mx.concatenate([part.b for _, part in present], axis=-2),
        magnitude=_join_magnitudes(adapters, parts),
        columns=tuple((slot, part.rank) for slot, part in present),
    )


def _join_magnitudes(adapters: Sequence[str], parts: Mapping[str, Factors]) -> mx.array | None:
    """(slots, out), ones for who has none; None where nobody has any."""
    own = [parts[one].magnitude if one in parts else None for one in adapters]
    known = next((magnitude for magnitude in own if magnitude is not None), None)
    if known is None:
        return None
    ones = mx.ones_like(known)
    return mx.stack([ones, *(ones if magnitude is None else magnitude for magnitude in own)])
