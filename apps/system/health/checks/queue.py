"""The task queue answers."""

from __future__ import annotations

import logging

from apps.inference.heartbeat import QueueUnreachable, waiting_tasks
from apps.system.health.findings import Finding

logger = logging.getLogger(__name__)


def check() -> Finding:
    """Counts what waits in it."""
    try:
        waiting = waiting_tasks()
    except QueueUnreachable as error:
        logger.warning("The task queue does not answer: %s", error)
        return Finding(
            "down",
            "The task queue does not answer; the log of this process says why.",
            "For SQLite, look whether the disk has room. For Redis, look whether `MLXHUB_HUEY_URL` "
            "leads to it and it runs.",
        )
    return Finding("ok", f"{waiting:,} waiting.")
