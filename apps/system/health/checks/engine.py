"""The engine completes steps. An open port proves nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass

from django.template.defaultfilters import pluralize

from apps.inference.client import EngineError
from apps.inference.engine.protocol import Status
from apps.inference.services import glancing_engine
from apps.inference.snapshot import stall
from apps.system.health.findings import Finding


@dataclass(frozen=True)
class Look:
    """What was seen of the engine; ``status`` is None where it is silent."""

    finding: Finding
    status: Status | None
    latency_ms: float


def look() -> Look:
    """Asks the engine once, for this check and for the ones that need its figures."""
    started = time.perf_counter()
    status: Status | None = None
    try:
        status = glancing_engine().status()
        finding = judged(status)
    except EngineError as error:
        finding = Finding("down", error.message, _RESTART)
    return Look(finding, status, round((time.perf_counter() - started) * 1000, 2))


def judged(status: Status) -> Finding:
    """By the steps that it completes."""
    if reason := stall(status):
        return Finding("down", reason, _RESTART)
    if status.loading:
        return Finding("ok", f"Loading {status.loading}.")
    if status.last_step_age is None:
        return Finding("ok", "It has had nothing to compute yet.")
    steps = f"{status.steps:,} step{pluralize(status.steps)}"
    return Finding("ok", f"{steps}, the last one {status.last_step_age:,.0f} s ago.")


_RESTART = (
    "Start the hub with `mlx-hub up`, or restart it. `mlx-hub logs engine` and the Logs page have "
    "the engine's last words."
)
