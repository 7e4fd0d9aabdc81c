"""The base's layers, and what stands in their places while adapters are used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mlx.nn as nn
from mlx_lm.models.switch_layers import (
    QuantizedSwitchLinear,
    SwitchGLU,
    SwitchLinear,
    SwitchMLP,
)

from apps.inference.engine.adapters.experts import AdaptedExperts
from apps.inference.engine.adapters.factors import Factors
from apps.inference.engine.adapters.layers import (
    AdaptedEmbedding,
    AdaptedLayer,
    AdaptedLinear,
    AdaptedSwitchLinear,
)
from apps.inference.engine.adapters.selection import Selection

_KINDS = (
    ((nn.Linear, nn.QuantizedLinear), AdaptedLinear),
    ((nn.Embedding, nn.QuantizedEmbedding), AdaptedEmbedding),
    ((SwitchLinear, QuantizedSwitchLinear), AdaptedSwitchLinear),
)


@dataclass(frozen=True)
class _Place:
    """A module's place in its parent, a module or a list, and what may stand there."""

    parent: Any
    key: Any
    base: Any
    adapted: Any


class Takeover:
    def __init__(self, model: Any, selection: Selection) -> None:
        """``model``: an mlx-lm model with its own layers in their places."""
        self._model = model
        self._selection = selection
        self._modules: dict[str, Any] = dict(model.named_modules())
        self._places: dict[str, _Place] = {}
        self._layers: dict[str, AdaptedLayer] = {}
        self._adapted = False

    @property
    def nbytes(self) -> int:
        layers = self._layers.values()
        parts = sum(part.nbytes for layer in layers for part in layer.parts.values())
        return parts + sum(layer.joined_bytes for layer in layers)

    def layer(self, name: str) -> Any:
        """The base's layer. Raises ValueError where there is none that can be adapted."""
        layer = self._modules.get(name)
        if layer is None:
            raise ValueError(f"the model has no layer {name}")
        if _kind(layer) is None:
            raise ValueError(f"{name} is a {type(layer).__name__}, which can't be adapted here")
        if isinstance(layer, SwitchLinear | QuantizedSwitchLinear):
            block = self._modules.get(name.rpartition(".")[0])
            if not isinstance(block, SwitchGLU | SwitchMLP):
                raise ValueError(f"{name} is in a {type(block).__name__}, which can't be adapted")
        return layer

    def add(self, digest: str, factors: Mapping[str, Factors]) -> None:
        """Give an adapter's parts to the layers of these names, all known to ``layer``."""
        self.stand_back()
        for name, part in factors.items():
            if name not in self._layers:
                self._take(name)
            self._layers[name].parts[digest] = part

    def remove(self, digest: str) -> None:
        for layer in self._layers.values():
            layer.parts.pop(digest, None)
        self.unjoin()

    def unjoin(self) -> None:
        """Free what is held side by side; it is joined again when it is needed."""
        for layer in self._layers.values():
            layer.unjoin()

    def stand_in(self) -> None:
        """Let adapted layers compute."""
        if not self._adapted:
            self._adapted = True
            for place in self._places.values():
                place.parent[place.key] = place.adapted

    def stand_back(self) -> None:
        """Let the base's own layers compute."""
        if self._adapted:
            self._adapted = False
            for place in self._places.values():
                place.parent[place.key] = place.base

    def _take(self, name: str) -> None:
        layer = self.layer(name)
        kind = _kind(layer)
        assert kind is not None
        self._layers[name] = adapted = kind(layer, self._selection)
        self._places[name] = self._place(name, layer, adapted)
        if isinstance(adapted, AdaptedSwitchLinear):
            block = name.rpartition(".")[0]
            experts = AdaptedExperts(self._modules[block], self._selection)
            self._places[block] = self._place(block, experts.base, experts)

    def _place(self, name: str, base: Any, adapted: Any) -> _Place:
        """Modules are dictionaries of their children; only lists count them."""
        *path, last = name.split(".")
        parent = self._model
        for key in path:
            parent = parent[int(key)] if isinstance(parent, list) else parent[key]
        return _Place(parent, int(last) if isinstance(parent, list) else last, base, adapted)


def _kind(layer: Any) -> type[AdaptedLayer] | None:
    return next((adapted for kinds, adapted in _KINDS if isinstance(layer, kinds)), None)
