"""Adapters with random weights, written as mlx-lm's tuner writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers

from apps.inference.engine.protocol import AdapterSpec
from apps.models.runtime.digest import digest_adapter


def write_tiny_adapter(
    folder: Path,
    model: Any,
    *,
    seed: int,
    rank: int = 4,
    scale: float = 2.0,
    kind: str = "lora",
    keys: list[str] | None = None,
    num_layers: int = -1,
    dtype: mx.Dtype = mx.float32,
) -> AdapterSpec:
    """An adapter over ``model``, whose layers are replaced by mlx-lm's along the way."""
    folder.mkdir(parents=True, exist_ok=True)
    parameters = {"rank": rank, "scale": scale, "dropout": 0.0}
    if keys is not None:
        parameters["keys"] = keys
    model.freeze()
    layers = len(model.layers) if num_layers == -1 else num_layers
    linear_to_lora_layers(model, layers, parameters, use_dora=kind == "dora")
    mx.random.seed(seed)
    weights = {
        name: mx.random.normal(array.shape) * 0.2
        if not name.endswith(".m")
        else array * mx.random.uniform(0.5, 1.5, array.shape)
        for name, array in tree_flatten(model.trainable_parameters())
    }
    weights = {name: array.astype(dtype) for name, array in weights.items()}
    mx.save_safetensors(str(folder / "adapters.safetensors"), weights)
    config = {"fine_tune_type": kind, "num_layers": layers, "lora_parameters": parameters}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return spec_of(folder)


def spec_of(folder: Path) -> AdapterSpec:
    weights = (folder / "adapters.safetensors").read_bytes()
    config = (folder / "adapter_config.json").read_bytes()
    return AdapterSpec(name=folder.name, path=str(folder), digest=digest_adapter(weights, config))
