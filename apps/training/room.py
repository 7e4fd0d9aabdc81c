"""This machine's memory for a training, as the engine's ledger or the host tells."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from apps.inference.engine.protocol import Status
from apps.inference.snapshot import look_at_engine
from apps.models.fit import Machine, host_machine


@dataclass(frozen=True)
class Room:
    """This machine's memory for models, now and once idle models are unloaded."""

    machine: Machine
    free_now: int
    idle: tuple[str, ...]
    """Slugs of loaded models that may be unloaded."""


def this_room() -> Room:
    """As the engine's ledger has it; as far as the host tells where no engine runs."""
    status = look_at_engine().status
    if status is None:
        machine = host_machine(settings.HUB.memory_ceiling_gb)
        return Room(machine, machine.free_bytes, ())
    busy = {model.name for model in status.models if model.pinned or model.live_kv_bytes}
    held = {model.name: _held(status, model.name) for model in status.models}
    ceiling = status.accelerator.memory_ceiling_bytes
    machine = Machine(status.accelerator.backend, ceiling, sum(held[name] for name in busy))
    idle = tuple(name for name in held if name not in busy)
    return Room(machine, max(0, ceiling - sum(held.values())), idle)


def _held(status: Status, name: str) -> int:
    model = next(model for model in status.models if model.name == name)
    return max(model.weights_bytes, model.measured_bytes) + model.live_kv_bytes
