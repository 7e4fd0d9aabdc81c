"""Layers of the base that add what the selection says.

They stand in the base's place only while a row uses an adapter. What they compute
is what ``mlx_lm.tuner``'s LoRA and DoRA layers compute (``lora.py``, ``dora.py``).
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from apps.inference.engine.adapters.factors import Factors, JoinedFactors, join
from apps.inference.engine.adapters.selection import Selection, along_rows


class AdaptedLayer:
    """A layer and the parts that adapters have in it, by digest."""

    def __init__(self, base: Any, selection: Selection) -> None:
        self.base = base
        self.parts: dict[str, Factors] = {}
        self._selection = selection
        self._joined: JoinedFactors | None = None
        self._joined_for: tuple[str, ...] = ()

    @property
    def joined_bytes(self) -> int:
        return self._joined.nbytes if self._joined else 0

    def unjoin(self) -> None:
        self._joined, self._joined_for = None, ()

    def _chosen(self) -> Factors | None:
        if not self._selection.mixed:
            only = self._selection.only
            return None if only is None else self.parts.get(only)
        if self._joined_for != self._selection.joined:
            self._joined_for = self._selection.joined
            self._joined = join(self._joined_for, self.parts)
        return self._joined

    def _own(self, z: mx.array, chosen: Factors) -> mx.array:
        if isinstance(chosen, JoinedFactors):
            return self._selection.own(z, chosen.columns)
        return z

    def _magnified(self, y: mx.array, chosen: Factors) -> mx.array:
        """Each output times DoRA's magnitude; a bias is not part of what is magnified."""
        magnitude = chosen.magnitude
        if magnitude is None:
            return y
        magnitude = magnitude.astype(y.dtype)
        if isinstance(chosen, JoinedFactors):
            magnitude = along_rows(magnitude[self._selection.slots], y)
        y = magnitude * y
        return y + (1 - magnitude) * self.base.bias if "bias" in self.base else y


class AdaptedLinear(AdaptedLayer):
    """Over Linear and QuantizedLinear."""

    def __call__(self, x: mx.array) -> mx.array:
        y: mx.array = self.base(x)
        chosen = self._chosen()
        if chosen is None:
            return y
        delta = self._own(x @ chosen.a, chosen) @ chosen.b
        return self._magnified(y + delta.astype(y.dtype), chosen)


class AdaptedEmbedding(AdaptedLayer):
    """Over Embedding and QuantizedEmbedding, also where it serves as output projection."""

    def __call__(self, x: mx.array) -> mx.array:
        y: mx.array = self.base(x)
        chosen = self._chosen()
        if chosen is None:
            return y
        delta = self._own(chosen.a[x], chosen) @ chosen.b
        y = y + delta.astype(y.dtype)
        if chosen.magnitude is None:
            return y
        if isinstance(chosen, JoinedFactors):
            magnitude = chosen.magnitude[self._selection.slots[:, None], x]
        else:
            magnitude = chosen.magnitude[x]
        return magnitude[..., None].astype(y.dtype) * y

    def as_linear(self, x: mx.array) -> mx.array:
        y: mx.array = self.base.as_linear(x)
        chosen = self._chosen()
        if chosen is None:
            return y
        delta = self._own(x @ chosen.b.T, chosen) @ chosen.a.T
        return self._magnified(y + delta.astype(y.dtype), chosen)


class AdaptedSwitchLinear(AdaptedLayer):
    """Over SwitchLinear and QuantizedSwitchLinear; AdaptedExperts sees to it that rows agree."""

    def __call__(self, x: mx.array, indices: mx.array, sorted_indices: bool = False) -> mx.array:
        y: mx.array = self.base(x, indices, sorted_indices=sorted_indices)
        chosen = self._chosen()
        if chosen is None:
            return y
        z = mx.gather_mm(x, chosen.a, rhs_indices=indices, sorted_indices=sorted_indices)
        z = mx.gather_mm(z, chosen.b, rhs_indices=indices, sorted_indices=sorted_indices)
        return y + z.astype(y.dtype)
