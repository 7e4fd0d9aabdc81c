"""What somebody looks for, in part told to the hub and in part sifted here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from apps.discovery import hub
from apps.discovery.listing import ListedModel
from apps.discovery.weights import FULL_PRECISION

SortName = Literal["trending", "downloads", "likes", "newest"]
FormatName = Literal["mlx", "safetensors", "gguf", "any"]
GateName = Literal["", "open", "gated"]

SORTS: dict[SortName, hub.Sort] = {
    "trending": "trendingScore",
    "downloads": "downloads",
    "likes": "likes",
    "newest": "createdAt",
}
GATES: dict[GateName, bool | None] = {"": None, "open": False, "gated": True}
FULL = "full"
"""In place of a quantisation: weights that are not quantised."""

_SIFTED_LIMIT = 100
"""Models asked for at once where some of them won't fit."""


@dataclass(frozen=True)
class Wanted:
    """A search. Empty or None: whatever."""

    words: str = ""
    sort: SortName = "trending"
    format: FormatName = "mlx"
    task: str = ""
    architecture: str = ""
    license: str = ""
    gate: GateName = ""
    base_model: str = ""
    """Only quantised forms of this repository."""
    min_parameters: int | None = None
    max_parameters: int | None = None
    max_bytes: int | None = None
    quantization: str = ""

    @property
    def sifts(self) -> bool:
        """Whether there is something that the hub can't look for itself.

        It has a filter for parameters, which counts packed weights as they lie in the
        file: a 4-bit model of 7B would be one of 1B.
        """
        return bool(
            self.quantization
            or self.min_parameters is not None
            or self.max_parameters is not None
            or self.max_bytes is not None
        )

    def query(self) -> hub.Query:
        """The part that the hub looks for."""
        tags = [
            "" if self.format == "any" else self.format,
            self.architecture,
            self.license and f"license:{self.license}",
            self.base_model and f"base_model:quantized:{self.base_model}",
        ]
        query = hub.Query(
            search=self.words,
            filters=tuple(tag for tag in tags if tag),
            task=self.task,
            gated=GATES[self.gate],
            sort=SORTS[self.sort],
        )
        return replace(query, limit=_SIFTED_LIMIT) if self.sifts else query

    def fits(self, model: ListedModel) -> bool:
        """The part that is sifted here. What is not known does not fit."""
        return (
            _within(model.parameters, self.min_parameters, self.max_parameters)
            and _within(model.weight_bytes, None, self.max_bytes)
            and self._fits_quantization(model.quantization)
        )

    def _fits_quantization(self, quantization: str) -> bool:
        if self.quantization == FULL:
            return quantization in FULL_PRECISION
        return not self.quantization or quantization == self.quantization


def _within(value: int | None, least: int | None, most: int | None) -> bool:
    if least is None and most is None:
        return True
    return value is not None and (least or 0) <= value and (most is None or value <= most)
