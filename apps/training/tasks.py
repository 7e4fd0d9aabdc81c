"""What the worker does for training."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.dispatch import receiver
from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task, on_startup

from apps.jobs.control import settle_orphans
from apps.jobs.models import JobState
from apps.jobs.tasks import once_a_process, worker_stops
from apps.jobs.turns import AnotherWorks, turn_ended, turn_of_its_own
from apps.training.models import TrainingJob
from apps.training.running import run

LOST = "The process that trained it ended."


@db_task()
def run_training(key: int) -> None:
    """Run a queued job, in its turn."""
    job = TrainingJob.objects.queued().filter(pk=key).first()
    if job is None:
        return
    # Where another one has its turn, it stays queued until that ends, or for a minute.
    with suppress(AnotherWorks), turn_of_its_own():
        run(job, stops=worker_stops)


@receiver(turn_ended)
def take_turns(**kwargs: Any) -> None:
    """Whoever comes first has the next turn; the others go on waiting."""
    if not worker_stops.is_set():
        _wake()


def take_up_training() -> None:
    """Go on with what was at work when its worker ended, and with what waits."""
    settle_orphans(TrainingJob.objects.all(), error=LOST, as_state=JobState.QUEUED)
    _wake()


on_startup()(once_a_process(take_up_training))


@db_periodic_task(crontab(minute="*"), expires=60)
def look_after_trainings() -> None:
    """For jobs whose process is gone, whose turn has come, or whose wake-up call got lost."""
    take_up_training()


def _wake() -> None:
    """What comes twice is run once."""
    for key in TrainingJob.objects.queued().order_by("pk").values_list("pk", flat=True):
        run_training(key)
