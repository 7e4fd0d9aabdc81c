"""What the worker does for evaluations. The engine does the work, and shares its memory."""

from __future__ import annotations

from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task, on_startup

from apps.jobs.control import settle_orphans
from apps.jobs.models import JobState
from apps.jobs.tasks import once_a_process, worker_stops
from apps.training.evaluation.models import Evaluation
from apps.training.evaluation.running import run

LOST = "The process that ran it ended."


@db_task()
def run_evaluation(key: int) -> None:
    """Run a queued evaluation, and then whoever waits; one at a time."""
    if Evaluation.objects.running().exists():
        return  # it stays queued, and is woken up when the other one ends, or within a minute
    evaluation = Evaluation.objects.queued().filter(pk=key).first()
    if evaluation is not None:
        run(evaluation, stops=worker_stops)
    if not worker_stops.is_set():
        _wake()


def take_up_evaluations() -> None:
    """Go on with what was at work when its worker ended, and with what waits."""
    settle_orphans(Evaluation.objects.all(), error=LOST, as_state=JobState.QUEUED)
    _wake()


on_startup()(once_a_process(take_up_evaluations))


@db_periodic_task(crontab(minute="*"), expires=60)
def look_after_evaluations() -> None:
    """For those whose process is gone, whose turn has come, or whose wake-up call got lost."""
    take_up_evaluations()


def _wake() -> None:
    """The one that was ordered first; what comes twice is run once."""
    waiting = Evaluation.objects.queued().order_by("pk").values_list("pk", flat=True)[:1]
    for key in waiting:
        run_evaluation(key)
