"""Model folders made of headers alone: no weights are needed to look at one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from apps.models.runtime.headers import DTYPE_BITS

CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "max_position_embeddings": 2048,
}


def write_folder(
    folder: Path,
    tensors: dict[str, tuple[str, list[int]]],
    config: dict[str, Any] | None = None,
    **files: Any,
) -> Path:
    """A folder with tensors of zeros, given as name to (dtype, shape); ``files`` are JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | (config or {})))
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    header, offset = {}, 0
    for name, (dtype, shape) in tensors.items():
        nbytes = DTYPE_BITS[dtype] // 8
        for size in shape:
            nbytes *= size
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + nbytes]}
        offset += nbytes
    encoded = json.dumps(header).encode()
    content = len(encoded).to_bytes(8, "little") + encoded + bytes(offset)
    (folder / "model.safetensors").write_bytes(content)
    return folder


def quantized(name: str, rows: int, columns: int, bits: int, group: int) -> dict[str, Any]:
    """The three tensors of a quantised weight."""
    return {
        f"{name}.weight": ("U32", [rows, columns * bits // 32]),
        f"{name}.scales": ("BF16", [rows, columns // group]),
        f"{name}.biases": ("BF16", [rows, columns // group]),
    }
