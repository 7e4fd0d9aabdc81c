"""What the worker does for benchmarks. apps.inference.tasks imports this, so that huey knows it."""

from __future__ import annotations

import threading

from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task, on_shutdown
from huey.exceptions import RetryTask

from apps.inference.benchmarks.conduct import AnotherRuns, conduct, settle_silent
from apps.inference.models import BenchmarkRun

WAIT_SECONDS = 5
"""Until a benchmark that waits for another one is tried again."""

_worker_stops = threading.Event()


@db_task()
def run_benchmark(key: int) -> None:
    """Run a queued benchmark; it waits for its turn while another one runs."""
    run = BenchmarkRun.objects.filter(pk=key).first()
    if run is None:
        return
    try:
        conduct(run=run, ending=_ending)
    except AnotherRuns as error:
        raise RetryTask(str(error), delay=WAIT_SECONDS) from error


def _ending() -> BenchmarkRun.State | None:
    return BenchmarkRun.State.INTERRUPTED if _worker_stops.is_set() else None


@on_shutdown()
def end_benchmark() -> None:
    """A worker that is stopped does not wait minutes for figures."""
    _worker_stops.set()


@db_periodic_task(crontab(minute="*"), expires=60)
def settle_benchmarks() -> None:
    """Show the benchmarks whose process is gone as interrupted."""
    settle_silent()


def requeue_benchmarks() -> None:
    """Take up what was queued when the last worker ended; what comes twice is run once."""
    for key in BenchmarkRun.objects.queued().order_by("pk").values_list("pk", flat=True):
        run_benchmark(key)
