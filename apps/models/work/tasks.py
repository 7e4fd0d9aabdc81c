"""What the worker does for model jobs."""

from __future__ import annotations

import threading

from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task, on_startup

from apps.jobs import line
from apps.jobs import tasks as turns
from apps.jobs.control import settle_orphans
from apps.jobs.tasks import once_a_process, worker_stops
from apps.models.work.models import ModelJob
from apps.models.work.running import carry_out

LOST = "The process that ran it ended. Start it again."


@db_task()
def run_model_job(key: int) -> None:
    """Run a queued job that waits for nobody."""
    job = ModelJob.objects.light().queued().filter(pk=key).first()
    if job is not None:
        carry_out(job, stops=worker_stops)


def _in_turn(job: ModelJob, stops: threading.Event) -> None:
    carry_out(job, stops=stops)


line.join(ModelJob, line.Kind(lambda: ModelJob.objects.heavy(), _in_turn))


def take_up_model_jobs() -> None:
    """Run what nobody was woken up for, and show what is at nobody's hands as interrupted."""
    settle_orphans(ModelJob.objects.all(), error=LOST)
    for key in ModelJob.objects.light().queued().order_by("pk").values_list("pk", flat=True):
        run_model_job(key)
    if ModelJob.objects.heavy().queued().exists():
        turns.take_turns()


on_startup()(once_a_process(take_up_model_jobs))


@db_periodic_task(crontab(minute="*"), expires=60)
def look_after_model_jobs() -> None:
    """For jobs whose process is gone, or whose wake-up call got lost."""
    take_up_model_jobs()
