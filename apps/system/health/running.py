"""All checks, one after another."""

from __future__ import annotations

import time
from collections.abc import Callable

from apps.system.health.checks import (
    certificate,
    database,
    disk,
    engine,
    hub,
    memory,
    queue,
    starter,
    worker,
)
from apps.system.health.findings import Checked, Finding, Report


def run_all() -> Report:
    """In the order of what matters most; the engine is asked once for all."""
    seen = engine.look()
    checks = (
        _timed("database", "Database", database.check),
        Checked("engine", "Engine", seen.finding, seen.latency_ms),
        _timed("queue", "Task queue", queue.check),
        _timed("worker", "Worker", worker.check),
        _timed("disk", "Disk", disk.check),
        _timed("memory", "Memory", lambda: memory.check(seen.status)),
        _timed("hub", "Hugging Face", hub.check),
        _timed("certificate", "Certificate", certificate.check),
        _timed("starter", "Starter model", starter.check),
    )
    return Report(checks, seen.status)


def _timed(name: str, label: str, check: Callable[[], Finding]) -> Checked:
    started = time.perf_counter()
    finding = check()
    return Checked(name, label, finding, round((time.perf_counter() - started) * 1000, 2))
