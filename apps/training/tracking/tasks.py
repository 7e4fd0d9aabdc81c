"""What the worker does for tracking: once a minute, beside everything else."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from huey import crontab
from huey.contrib.djhuey import db_periodic_task

from apps.jobs.tasks import worker_stops
from apps.training.tracking.store import configured_store
from apps.training.tracking.telling import bring_up


@db_periodic_task(crontab(minute="*"), expires=60)
def track_runs() -> None:
    """Tell MLflow what it does not know yet. A second worker leaves it to the first."""
    store = configured_store()
    if store is None:
        return
    with _alone() as alone:
        if alone:
            bring_up(store, stops=worker_stops)


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether nobody else tells; the system frees the lock when the process dies."""
    with (settings.HUB.data_dir / "run" / "tracking.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
