"""What the worker does beside its tasks: look at everything, and keep what it saw.

One process of a machine does so at a time: the one that holds the lock. The system releases
it however that process dies, and another worker goes on.
"""

from __future__ import annotations

import fcntl
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import DatabaseError, connection

from apps.system.alerts.evaluating import Evaluator
from apps.system.alerts.tasks import tell_webhooks_if_due
from apps.system.history.grains import EVERY
from apps.system.history.recording import record
from apps.system.history.seeing import Watcher

logger = logging.getLogger(__name__)


def keep_watch(stop: threading.Event) -> None:
    """Until ``stop`` is set."""
    while not stop.is_set():
        with _alone() as is_ours:
            if is_ours:
                _watch(stop)
        stop.wait(EVERY)


def _watch(stop: threading.Event) -> None:
    watcher: Watcher | None = None
    evaluator = Evaluator()
    while not stop.is_set():
        began = time.monotonic()
        try:
            watcher = watcher or Watcher()
            turn(watcher, evaluator, now=time.time())
        except DatabaseError:
            logger.exception("What was seen could not be written.")
        except Exception:  # charts and alerts must go on whatever one look met
            logger.exception("A look at the hub broke.")
        finally:
            connection.close()
        stop.wait(max(1.0, EVERY - (time.monotonic() - began)))


def turn(watcher: Watcher, evaluator: Evaluator, *, now: float) -> None:
    """One look. Raises DatabaseError."""
    record(watcher.look(at=now), at=now)
    evaluator.evaluate(now=now)
    tell_webhooks_if_due()


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether no other process of this machine keeps watch meanwhile."""
    with (settings.HUB.data_dir / "run" / "watch.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
