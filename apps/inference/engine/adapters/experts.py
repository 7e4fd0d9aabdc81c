"""Mixtures of experts, which sort tokens by expert and so lose sight of rows."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from apps.inference.engine.adapters.selection import Selection


class AdaptedExperts:
    """Over mlx-lm's SwitchGLU and SwitchMLP: computes the rows of each adapter by themselves."""

    def __init__(self, base: Any, selection: Selection) -> None:
        self.base = base
        self._selection = selection

    def __call__(self, x: mx.array, indices: mx.array) -> mx.array:
        """``x``: (rows, tokens, in) or (rows · tokens, in); ``indices``: the experts of each."""
        if not self._selection.mixed:
            return self.base(x, indices)  # type: ignore[no-any-return]
        groups = self._groups(x.shape[0])
        parts = []
        for adapter, positions in groups.items():
            mine = mx.array(positions)
            with self._selection.narrowed(adapter):
                parts.append(self.base(x[mine], indices[mine]))
        order = [position for positions in groups.values() for position in positions]
        return mx.concatenate(parts)[mx.argsort(mx.array(order))]

    def _groups(self, length: int) -> dict[str | None, list[int]]:
        """Positions on the first axis by adapter."""
        rows = self._selection.rows
        tokens = length // len(rows)
        groups: dict[str | None, list[int]] = {}
        for position in range(length):
            groups.setdefault(rows[position // tokens], []).append(position)
        return groups
