"""What the worker does for training."""

from __future__ import annotations

from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task, on_startup
from huey.exceptions import RetryTask

from apps.jobs.control import settle_orphans
from apps.jobs.models import JobState
from apps.jobs.tasks import once_a_process, worker_stops
from apps.jobs.turns import AnotherWorks, turn_of_its_own
from apps.training.models import TrainingJob
from apps.training.running import run

WAIT_SECONDS = 5
"""Until a job that waits for its turn is tried again."""

LOST = "The process that trained it ended."


@db_task()
def run_training(key: int) -> None:
    """Run a queued job, in its turn."""
    job = TrainingJob.objects.queued().filter(pk=key).first()
    if job is None:
        return
    try:
        with turn_of_its_own():
            run(job, stops=worker_stops)
    except AnotherWorks as error:
        raise RetryTask(str(error), delay=WAIT_SECONDS) from error


@on_startup()
@once_a_process
def take_up_training() -> None:
    """Go on with what was at work or queued when the last worker ended."""
    settle_orphans(TrainingJob.objects.all(), error=LOST, as_state=JobState.QUEUED)
    _wake()


def _wake() -> None:
    """What comes twice is run once."""
    for key in TrainingJob.objects.queued().order_by("pk").values_list("pk", flat=True):
        run_training(key)


@db_periodic_task(crontab(minute="*"), expires=60)
def settle_trainings() -> None:
    """Queue the jobs again whose process is gone."""
    if settle_orphans(TrainingJob.objects.all(), error=LOST, as_state=JobState.QUEUED):
        _wake()
