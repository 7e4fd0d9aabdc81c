"""What the worker does for model jobs."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.dispatch import receiver
from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task, on_startup

from apps.jobs.control import settle_orphans
from apps.jobs.tasks import once_a_process, worker_stops
from apps.jobs.turns import AnotherWorks, turn_ended
from apps.models.work.models import ModelJob, ModelJobQuerySet
from apps.models.work.running import run
from apps.models.work.turns import HEAVY

LOST = "The process that ran it ended. Start it again."


@db_task()
def run_model_job(key: int) -> None:
    """Run a queued job. Those that hold a model in memory take turns."""
    job = ModelJob.objects.queued().filter(pk=key).first()
    if job is None:
        return
    # Where another one has its turn, it stays queued until that ends, or for a minute.
    with suppress(AnotherWorks):
        run(job, stops=worker_stops)


@receiver(turn_ended)
def take_turns(**kwargs: Any) -> None:
    """Whoever comes first has the next turn; the others go on waiting."""
    if not worker_stops.is_set():
        _wake(ModelJob.objects.queued().filter(kind__in=HEAVY))


def take_up_model_jobs() -> None:
    """Run what nobody was woken up for, and show what is at nobody's hands as interrupted."""
    settle_orphans(ModelJob.objects.all(), error=LOST)
    _wake(ModelJob.objects.queued())


on_startup()(once_a_process(take_up_model_jobs))


@db_periodic_task(crontab(minute="*"), expires=60)
def look_after_model_jobs() -> None:
    """For jobs whose process is gone, whose turn has come, or whose wake-up call got lost."""
    take_up_model_jobs()


def _wake(jobs: ModelJobQuerySet) -> None:
    """What comes twice is run once."""
    for key in jobs.order_by("pk").values_list("pk", flat=True):
        run_model_job(key)
