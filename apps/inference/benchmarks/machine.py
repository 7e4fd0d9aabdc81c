"""What a run's figures were measured on."""

from __future__ import annotations

import logging
import os
import platform
from importlib.metadata import version
from typing import Any

from apps.inference.client import EngineError
from apps.inference.engine.protocol import Ok, ResetPeakMemory
from apps.inference.services import attentive_engine, glancing_engine

logger = logging.getLogger(__name__)


def facts(*, with_engine: bool) -> dict[str, Any]:
    """The machine and the versions; ``with_engine`` also the accelerator's.

    Without: these are the facts of the machine that asks, not of the server that answers.
    """
    known: dict[str, Any] = {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "hub": version("mlx-model-hub"),
    }
    return known | _engine_facts() if with_engine else known


def _engine_facts() -> dict[str, Any]:
    """Also starts to count the peak of the engine's memory anew."""
    try:
        attentive_engine().call(ResetPeakMemory(), Ok)
        accelerator = glancing_engine().status().accelerator
    except EngineError as error:
        # The run itself will meet the same, and say so.
        logger.info("The engine was not asked for its facts: %s", error.message)
        return {}
    return {
        "mlx": version("mlx"),
        "mlx_lm": version("mlx-lm"),
        "backend": accelerator.backend,
        "accelerator": accelerator.name,
        "blas": accelerator.blas,
        "memory_bytes": accelerator.memory_bytes,
    }


def peak_memory() -> int | None:
    """The most bytes the engine held since ``facts``; None where it does not answer."""
    try:
        return glancing_engine().status().peak_memory_bytes
    except EngineError as error:
        logger.warning("The peak of the engine's memory is not known: %s", error.message)
        return None
