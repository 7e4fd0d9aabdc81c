"""What the worker does for the System pages."""

from __future__ import annotations

import threading

from huey.contrib.djhuey import on_startup

from apps.jobs.tasks import once_a_process, worker_stops
from apps.system.watch import keep_watch


@on_startup()
@once_a_process
def begin_to_watch() -> None:
    """As soon as the worker runs."""
    threading.Thread(target=keep_watch, args=(worker_stops,), name="watch", daemon=True).start()
