"""What the worker does for benchmarks. apps.inference.tasks imports this, so that huey knows it."""

from __future__ import annotations

from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task, on_startup

from apps.inference.benchmarks.conduct import AnotherRuns, conduct, settle_runs
from apps.inference.models import BenchmarkRun
from apps.jobs.tasks import once_a_process, worker_stops


@db_task()
def run_benchmark(key: int) -> None:
    """Run a queued benchmark; it waits for its turn while another one runs."""
    run = BenchmarkRun.objects.queued().filter(pk=key).first()
    if run is None:
        return
    try:
        conduct(run=run, worker_stops=worker_stops)
    except AnotherRuns:
        return  # it stays queued, and is woken up when the other one ends, or within a minute
    if not worker_stops.is_set():
        _wake()


def take_up_benchmarks() -> None:
    """Run what nobody was woken up for, and show what is at nobody's hands as interrupted."""
    settle_runs()
    _wake()


on_startup()(once_a_process(take_up_benchmarks))


@db_periodic_task(crontab(minute="*"), expires=60)
def look_after_benchmarks() -> None:
    """For runs whose process is gone, whose turn has come, or whose wake-up call got lost."""
    take_up_benchmarks()


def _wake() -> None:
    """What comes twice is run once."""
    for key in BenchmarkRun.objects.queued().order_by("pk").values_list("pk", flat=True):
        run_benchmark(key)
