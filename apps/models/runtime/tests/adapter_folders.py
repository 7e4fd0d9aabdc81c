"""Adapter folders made of headers and zeros."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from apps.models.runtime.headers import DTYPE_BITS

CONFIG: dict[str, Any] = {
    "fine_tune_type": "lora",
    "num_layers": 2,
    "lora_parameters": {"rank": 4, "scale": 10.0, "dropout": 0.0},
    "learning_rate": 1e-5,
}


def lora(layer: str, inputs: int, outputs: int, rank: int = 4) -> dict[str, list[int]]:
    """Shapes of one layer's two factors."""
    return {f"{layer}.lora_a": [inputs, rank], f"{layer}.lora_b": [rank, outputs]}


Q_PROJ = lora("model.layers.0.self_attn.q_proj", 64, 64)


def write_adapter(
    folder: Path,
    shapes: dict[str, list[int]] | None = None,
    config: dict[str, Any] | None = None,
    dtype: str = "F32",
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG if config is None else config))
    header, offset = {}, 0
    for name, shape in (Q_PROJ if shapes is None else shapes).items():
        nbytes = DTYPE_BITS[dtype] // 8
        for size in shape:
            nbytes *= size
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + nbytes]}
        offset += nbytes
    encoded = json.dumps(header).encode()
    (folder / "adapters.safetensors").write_bytes(
        len(encoded).to_bytes(8, "little") + encoded + bytes(offset)
    )
    return folder
