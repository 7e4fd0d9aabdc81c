"""The machine has memory to spare, and the engine is below its ceiling."""

from __future__ import annotations

import psutil

from apps.inference.engine.protocol import Status
from apps.models.sizes import readable_memory
from apps.system.health.findings import Finding

FEW = 0.05
"""Of the machine's memory."""

_UNLOAD = (
    "Unload models with `mlx-hub unload` or on the Models page, pause trainings, or set a lower "
    "`MLXHUB_MEMORY_CEILING_GB`."
)


def check(engine: Status | None) -> Finding:
    """What is available, and what the engine takes of its ceiling."""
    memory = psutil.virtual_memory()
    detail = f"{readable_memory(memory.available)} available of {readable_memory(memory.total)}"
    if engine is not None:
        ceiling = engine.accelerator.memory_ceiling_bytes
        used = engine.active_memory_bytes + sum(held.bytes for held in engine.held)
        detail += f"; models and jobs use {readable_memory(used)} of {readable_memory(ceiling)}"
        if used > ceiling:
            return Finding("degraded", f"{detail}: more than they may.", _UNLOAD)
    if memory.available < FEW * memory.total:
        return Finding("degraded", f"{detail}: the machine is about to swap.", _UNLOAD)
    return Finding("ok", f"{detail}.")
