"""Model folder to encoder; what mlx-lm's ``load_model`` is for language models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from apps.models.runtime.embedding.bert import Encoder, EncoderConfig
from apps.models.runtime.headers import weight_files


def build_encoder(folder: Path) -> tuple[Encoder, dict[str, Any]]:
    """The encoder in ``folder`` with its config.json; its weights are read when they are used.

    Weights that mlx-community's converters quantised stay so. Raises what MLX and json
    raise on folders that are wrong in one way or another.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    model = Encoder(EncoderConfig.read(config))
    weights: dict[str, mx.array] = {}
    for file in weight_files(folder):
        loaded = mx.load(str(file))
        assert isinstance(loaded, dict)
        weights |= loaded
    weights = model.sanitize(weights)
    if quantization := config.get("quantization"):
        nn.quantize(
            model,
            group_size=quantization["group_size"],
            bits=quantization["bits"],
            class_predicate=lambda path, module: (
                hasattr(module, "to_quantized") and f"{path}.scales" in weights
            ),
        )
    model.eval()
    model.load_weights(list(weights.items()), strict=True)
    return model, config
