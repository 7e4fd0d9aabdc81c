"""What the worker does for datasets."""

from __future__ import annotations

from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task, on_startup

from apps.datasets.landing import remove_abandoned
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


def take_up_dataset_jobs() -> None:
    """Run again what was at work when its process ended, and what nobody was woken up for.

    What comes twice is run once. What dead processes left on the disk goes.
    """
    settle_orphans(DatasetJob.objects.all(), error=LOST, as_state=JobState.QUEUED)
    for key in DatasetJob.objects.queued().order_by("pk").values_list("pk", flat=True):
        run_dataset_job(key)
    remove_abandoned()


on_startup()(once_a_process(take_up_dataset_jobs))


@db_periodic_task(crontab(minute="*"), expires=60)
def look_after_dataset_jobs() -> None:
    """For jobs whose process is gone, or whose wake-up call got lost."""
    take_up_dataset_jobs()
