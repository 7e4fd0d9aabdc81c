"""What the worker does for datasets."""

from __future__ import annotations

from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task, on_startup

from apps.datasets.models import DatasetJob
from apps.datasets.running import run
from apps.jobs.control import settle_orphans
from apps.jobs.models import JobState
from apps.jobs.tasks import once_a_process, worker_stops

LOST = "The process that ran it ended."


@db_task()
def run_dataset_job(key: int) -> None:
    """Run a queued job."""
    job = DatasetJob.objects.queued().select_related("dataset", "base__dataset").filter(pk=key)
    if (queued := job.first()) is not None:
        run(queued, stops=worker_stops)


@on_startup()
@once_a_process
def take_up_dataset_jobs() -> None:
    """Start again what was at work or queued when the last worker ended."""
    settle_orphans(DatasetJob.objects.all(), error=LOST, as_state=JobState.QUEUED)
    _wake()


def _wake() -> None:
    """What comes twice is run once."""
    for key in DatasetJob.objects.queued().order_by("pk").values_list("pk", flat=True):
        run_dataset_job(key)


@db_periodic_task(crontab(minute="*"), expires=60)
def settle_dataset_jobs() -> None:
    """Queue the jobs again whose process is gone."""
    if settle_orphans(DatasetJob.objects.all(), error=LOST, as_state=JobState.QUEUED):
        _wake()
