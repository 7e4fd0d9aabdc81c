"""The memory that models may use here, for the fit badges."""

from __future__ import annotations

from django.conf import settings

from apps.inference.client import EngineError
from apps.inference.engine.protocol import Status
from apps.inference.services import glancing_engine
from apps.models.fit import Machine, host_machine


def this_machine() -> Machine:
    """As the engine's ledger has it; as far as the host tells where no engine runs."""
    try:
        status = glancing_engine().status()
    except EngineError:
        return host_machine(settings.HUB.memory_ceiling_gb)
    return Machine(
        backend=status.accelerator.backend,
        ceiling_bytes=status.accelerator.memory_ceiling_bytes,
        held_bytes=_held_bytes(status),
    )


def _held_bytes(status: Status) -> int:
    """Idle models make room for another one; these don't."""
    return sum(
        max(model.weights_bytes, model.measured_bytes) + model.live_kv_bytes
        for model in status.models
        if model.pinned or model.live_kv_bytes
    )
