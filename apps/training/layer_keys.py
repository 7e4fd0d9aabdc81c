"""Names of the layers inside a model's blocks, as its files have them."""

from __future__ import annotations

import re
from pathlib import Path

from apps.models.runtime.headers import read_tensors

_INSIDE = re.compile(r"(?:.*\.)?layers\.\d+\.(?P<name>.+)\.weight")

PLAIN = frozenset({"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi3"})
"""Kinds of model whose layers mlx-lm calls what their files call them."""


def layer_names(folder: Path) -> frozenset[str]:
    """Those that hold a matrix, such as ``self_attn.q_proj``. Raises ModelFormatError."""
    found = ((_INSIDE.fullmatch(name), tensor) for name, tensor in read_tensors(folder).items())
    return frozenset(
        match["name"] for match, tensor in found if match is not None and len(tensor.shape) > 1
    )
