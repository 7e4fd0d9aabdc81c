"""A model folder as mlx-lm's modules, its weights not read yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.nn as nn
from mlx_lm.utils import dequantize_model, load_model

from apps.models.runtime.embedding.description import ENCODERS
from apps.models.runtime.errors import ModelFormatError, ModelLoadError
from apps.models.runtime.headers import read_config

_FAILURES = (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError)
"""What mlx-lm raises for folders that it can't build a model from."""


def build(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The model and its configuration. Raises ModelFormatError, ModelLoadError."""
    architecture = read_config(path).get("model_type")
    if architecture in ENCODERS:
        raise ModelFormatError(
            f"{path.name} is an encoder ({architecture}) for embeddings: mlx-lm does not write "
            "such models. It is small; use it as it is."
        )
    try:
        model, config = load_model(path, lazy=True, trust_remote_code=False)
    except _FAILURES as error:
        raise ModelLoadError(
            f"The model in {path.name} could not be read by mlx-lm: {error}. Verify it, or "
            "download it again."
        ) from error
    return model, config


def unpack(model: nn.Module, config: dict[str, Any]) -> nn.Module:
    """The model without quantisation; its configuration says so too. Raises ModelFormatError."""
    if any("global_scale" in module for _, module in model.named_modules()):
        raise ModelFormatError(
            "The model is packed with a scale per tensor (nvfp4), which mlx-lm can't unpack. "
            "Start from the original model instead."
        )
    config.pop("quantization", None)
    config.pop("quantization_config", None)
    return dequantize_model(model)
