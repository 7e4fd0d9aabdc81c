"""What the worker does for training."""

from __future__ import annotations

import threading

from huey import crontab
from huey.contrib.djhuey import db_periodic_task, on_startup

from apps.jobs import line
from apps.jobs import tasks as turns
from apps.jobs.control import settle_orphans
from apps.jobs.models import JobState
from apps.jobs.tasks import once_a_process
from apps.training import deaths
from apps.training.models import StepTiming, TrainingJob
from apps.training.running import run
from apps.training.timing import run_timing


def _in_turn(job: TrainingJob, stops: threading.Event) -> None:
    run(job, stops=stops)


def _time_in_turn(timing: StepTiming, stops: threading.Event) -> None:
    run_timing(timing, stops=stops)


line.join(StepTiming, line.Kind(lambda: StepTiming.objects.select_related("base"), _time_in_turn))
line.join(TrainingJob, line.Kind(lambda: TrainingJob.objects.in_line(), _in_turn))


def take_up_training() -> None:
    """Go on with what was at work when its worker ended, and with what waits."""
    deaths.settle()
    settle_orphans(StepTiming.objects.all(), error=deaths.LOST, as_state=JobState.QUEUED)
    if TrainingJob.objects.queued().exists() or StepTiming.objects.queued().exists():
        turns.take_turns()


on_startup()(once_a_process(take_up_training))


@db_periodic_task(crontab(minute="*"), expires=60)
def look_after_trainings() -> None:
    """For jobs whose process is gone."""
    take_up_training()
