"""Which families of models the installed mlx-lm has code for, told without importing it."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

# ``MODEL_REMAPPING`` in mlx_lm/utils.py; a test compares the two.
OTHER_NAMES = {
    "mistral": "llama",
    "llava": "mistral3",
    "phi-msft": "phixtral",
    "falcon_mamba": "mamba",
    "joyai_llm_flash": "deepseek_v3",
    "kimi_k2": "deepseek_v3",
    "qwen2_5_vl": "qwen2_vl",
    "minimax_m2": "minimax",
    "iquestcoder": "llama",
    "xverse": "llama",
    "gemma4_unified": "gemma4",
    "deepseek_v41_text": "deepseek_v41",
}


def loads(model_type: str) -> bool:
    """Whether mlx-lm has code for config.json's ``model_type``."""
    return OTHER_NAMES.get(model_type, model_type) in _known()


@cache
def _known() -> frozenset[str]:
    spec = importlib.util.find_spec("mlx_lm")  # finds the package and does not run it
    if spec is None or spec.origin is None:
        return frozenset()
    files = (Path(spec.origin).parent / "models").glob("*.py")
    return frozenset(file.stem for file in files)
