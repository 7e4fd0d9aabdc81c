"""The worker's sign of life: a time in the task queue's own store.

The queue is what web and worker share wherever they run, so the beat goes where
the tasks come from. It comes from a thread of the worker's process, so that a
long task does not look like a dead worker.
"""

from __future__ import annotations

import logging
import threading
import time

from huey.contrib.djhuey import HUEY

logger = logging.getLogger(__name__)

KEY = "mlx-hub.worker-heartbeat"
INTERVAL = 5.0
"""Seconds between two beats."""


class QueueUnreachable(Exception):
    """The task queue's store can't be asked."""


def beat() -> None:
    """Leave a sign of life, now."""
    HUEY.put(KEY, time.time())


def last_beat_age() -> float | None:
    """Seconds since a worker's last beat; None if there never was one.

    Raises QueueUnreachable.
    """
    try:
        at = HUEY.get(KEY, peek=True)
    except Exception as error:  # SQLite's or Redis's own: huey passes on whatever its store raises
        raise QueueUnreachable(str(error)) from error
    return None if at is None else max(0.0, time.time() - at)


def waiting_tasks() -> int:
    """How many tasks are in the queue. Raises QueueUnreachable."""
    try:
        count: int = HUEY.pending_count()
    except Exception as error:  # as above
        raise QueueUnreachable(str(error)) from error
    return count


def keep_beating(stop: threading.Event) -> None:
    """Beat until ``stop`` is set; a queue that can't be reached is tried again."""
    while True:
        try:
            beat()
        except Exception:  # whatever the queue's store raises, the next beat is tried
            logger.exception("The worker's heartbeat could not be written.")
        if stop.wait(INTERVAL):
            return
