"""A worker takes tasks: it beats from a thread of its own, whatever it works on."""

from __future__ import annotations

import logging

from apps.inference.heartbeat import INTERVAL, QueueUnreachable, last_beat_age
from apps.system.health.findings import Finding

logger = logging.getLogger(__name__)

MISSED_BEATS = 4
"""That a worker may miss before it counts as gone."""

_START = "Start it with `mlx-hub up`, or `mlx-hub worker` beside a hub that runs in parts."


def check() -> Finding:
    """How long its last beat is ago."""
    try:
        age = last_beat_age()
    except QueueUnreachable as error:
        logger.warning("The task queue does not answer: %s", error)
        return Finding("down", "Not known: the task queue does not answer.", "Mend the queue.")
    if age is None or age > INTERVAL * MISSED_BEATS:
        seen = "has not been seen" if age is None else f"was last seen {age:.0f} s ago"
        return Finding("down", f"The worker {seen}: downloads, jobs and alerts wait.", _START)
    return Finding("ok", f"Last seen {age:.0f} s ago.")
