"""The thread that shows that its process lives."""

from __future__ import annotations

import logging
import threading

from django.db import DatabaseError, connection

from apps.system.health.models import Beat

logger = logging.getLogger(__name__)

INTERVAL = 10.0
"""Seconds between two beats."""


def start_beating(process: str) -> threading.Event:
    """Beat until the event that is returned is set, or the process ends."""
    stop = threading.Event()
    threading.Thread(target=_beat_on, args=(process, stop), name="beat", daemon=True).start()
    return stop


def _beat_on(process: str, stop: threading.Event) -> None:
    while True:
        try:
            Beat.objects.beat(process)
        except DatabaseError:
            logger.exception("The sign of life could not be written.")
        finally:
            connection.close()
        if stop.wait(INTERVAL):
            return
