"""A model's weights as the hub computes with them, in a folder that mlx-lm's own programs read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apps.models.runtime.accelerator import AcceleratorProfile


def write_as_held(model: Path, folder: Path, profile: AcceleratorProfile) -> None:
    """The model with its weights dequantised, where the hub computes with them so."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    from apps.models.runtime import loading

    loaded = loading.load(model, profile)
    weights = dict(tree_flatten(loaded.model.parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    config = json.loads((model / "config.json").read_text())
    if profile.compute_float32:
        for key in ("quantization", "quantization_config"):
            config.pop(key, None)
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(model / name, folder / name)
