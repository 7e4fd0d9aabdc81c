"""The worker's sign of life."""

from __future__ import annotations

from huey.contrib.djhuey import on_startup

from apps.jobs.tasks import once_a_process
from apps.system.health.beating import start_beating


@on_startup()
@once_a_process
def begin_to_beat() -> None:
    """As soon as the worker runs."""
    start_beating("worker")
