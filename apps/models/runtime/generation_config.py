"""How a model's authors recommend to sample from it: generation_config.json.

https://huggingface.co/docs/transformers/main_classes/text_generation#transformers.GenerationConfig
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.headers import read_json

_RANGES = {
    "temperature": (0.0, 2.0),
    "top_p": (1e-6, 1.0),
    "top_k": (0, 1_000_000),
    "min_p": (0.0, 1.0),
    "repetition_penalty": (0.01, 10.0),
}
"""What the API takes of each."""


def recommended_sampling(folder: Path) -> dict[str, float]:
    """The recommendation of the model in ``folder``, by the API's names; empty where there is none.

    ``do_sample: false`` is a temperature of 0. What is no number or out of the API's range
    is left out: a damaged file is no reason to refuse a model.
    """
    file = folder / "generation_config.json"
    if not file.exists():
        return {}
    try:
        config = read_json(file)
    except ModelFormatError:
        return {}
    found = {name: config[name] for name in _RANGES if _usable(config.get(name), *_RANGES[name])}
    if "top_k" in found:
        found["top_k"] = int(found["top_k"])
    if config.get("do_sample") is False:
        return {"temperature": 0.0}
    return found


def _usable(value: Any, low: float, high: float) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and low <= value <= high
