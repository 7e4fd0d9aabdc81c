"""What the worker does for model jobs."""

from __future__ import annotations

from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task, on_startup
from huey.exceptions import RetryTask

from apps.jobs.control import settle_orphans
from apps.jobs.tasks import worker_stops
from apps.models.work.models import ModelJob
from apps.models.work.running import run
from apps.models.work.turns import AnotherWorks

WAIT_SECONDS = 5
"""Until a job that waits for its turn is tried again."""

LOST = "The process that ran it ended. Start it again."


@db_task()
def run_model_job(key: int) -> None:
    """Run a queued job. Those that hold a model in memory take turns."""
    job = ModelJob.objects.queued().filter(pk=key).first()
    if job is None:
        return
    try:
        run(job, stops=worker_stops)
    except AnotherWorks as error:
        raise RetryTask(str(error), delay=WAIT_SECONDS) from error


@on_startup()
def take_up_model_jobs() -> None:
    """Run what was queued when the last worker ended; what comes twice is run once."""
    settle_orphans(ModelJob.objects.all(), error=LOST)
    for key in ModelJob.objects.queued().order_by("pk").values_list("pk", flat=True):
        run_model_job(key)


@db_periodic_task(crontab(minute="*"), expires=60)
def settle_model_jobs() -> None:
    """Show the jobs whose process is gone as interrupted."""
    settle_orphans(ModelJob.objects.all(), error=LOST)
