"""What the worker does for evaluations. The engine does the work, and shares its memory."""

from __future__ import annotations

from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task, on_startup

from apps.jobs.control import settle_orphans
from apps.jobs.models import JobState
from apps.jobs.tasks import once_a_process, run_alone, wake_first
from apps.training.evaluation.models import Evaluation
from apps.training.evaluation.running import run

LOST = "The process that ran it ended."


@db_task()
def run_evaluation(key: int) -> None:
    """Run a queued evaluation, and then whoever waits; one at a time."""
    run_alone(Evaluation.objects.all(), key, run, wake=run_evaluation)


def take_up_evaluations() -> None:
    """Go on with what was at work when its worker ended, and with what waits."""
    settle_orphans(Evaluation.objects.all(), error=LOST, as_state=JobState.QUEUED)
    wake_first(Evaluation.objects.all(), wake=run_evaluation)


on_startup()(once_a_process(take_up_evaluations))


@db_periodic_task(crontab(minute="*"), expires=60)
def look_after_evaluations() -> None:
    """For those whose process is gone, whose turn has come, or whose wake-up call got lost."""
    take_up_evaluations()
