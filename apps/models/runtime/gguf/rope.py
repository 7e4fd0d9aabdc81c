"""GGUF's two ways of stretching RoPE, as config.json's ``rope_scaling``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.gguf.metadata import Metadata
from apps.models.runtime.gguf.reader import GGUFFile

# llama.cpp's converter folds Llama 3's scaling into a tensor of divisors and drops
# the parameters. These are the ones every Llama 3.x release was published with.
_LLAMA3 = {
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def rope_scaling(file: GGUFFile, head_dim: int, theta: float) -> dict[str, Any] | None:
    """``rope_scaling`` for config.json, None where positions are plain.

    Raises ModelFormatError for a scaling that mlx-lm could not reproduce.
    """
    metadata = Metadata(file.metadata)
    arch = metadata.text("general.architecture")
    if "rope_freqs.weight" in file.tensors:
        return _llama3(file, head_dim, theta)
    kind = metadata.text(f"{arch}.rope.scaling.type", "none")
    if kind == "none":
        return None
    factor = metadata.number(f"{arch}.rope.scaling.factor", 1.0, low=1, high=1e6)
    if kind == "linear":
        return {"type": "linear", "factor": factor}
    attention = metadata.number(f"{arch}.rope.scaling.attn_factor", 1.0, low=0, high=1e6)
    if kind != "yarn" or attention != 1.0:
        raise _unsupported(kind)
    original = metadata.integer(f"{arch}.rope.scaling.original_context_length", low=1, high=1 << 30)
    return {"type": "yarn", "factor": factor, "original_max_position_embeddings": original}


def _llama3(file: GGUFFile, head_dim: int, theta: float) -> dict[str, Any]:
    tensor = file.tensors["rope_freqs.weight"]
    if tensor.shape != (head_dim // 2,) or tensor.type.name != "F32":
        raise _unsupported("rope_freqs")
    divisors = np.fromfile(file.path, "<f4", count=head_dim // 2, offset=tensor.offset)
    factor = float(divisors.max(initial=1.0))
    if not math.isfinite(factor) or factor < 1:
        raise _unsupported("rope_freqs")
    if not np.allclose(divisors, llama3_divisors(head_dim, theta, factor), rtol=1e-4):
        raise _unsupported("rope_freqs")
    return {"rope_type": "llama3", "factor": factor, **_LLAMA3}


def llama3_divisors(head_dim: int, theta: float, factor: float) -> np.ndarray:
    """What Llama 3 divides each rotary frequency by, float64 of shape (head_dim / 2,).

    Source: ``Llama3RoPE`` in ``mlx_lm/models/rope_utils.py``, inverted.
    """
    low, high = _LLAMA3["low_freq_factor"], _LLAMA3["high_freq_factor"]
    context = _LLAMA3["original_max_position_embeddings"]
    wavelength = 2 * math.pi * theta ** (np.arange(0, head_dim, 2) / head_dim)
    smooth = np.clip((context / wavelength - low) / (high - low), 0, 1)
    return np.asarray(1 / ((1 - smooth) / factor + smooth))


def _unsupported(kind: str) -> ModelFormatError:
    return ModelFormatError(
        f"The GGUF file stretches its context in a way ({kind}) that GGUF import does not "
        "support. Look for the model in MLX's own format instead."
    )
