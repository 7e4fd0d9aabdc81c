"""Running one job to its end, in the worker or in a command's own process."""

from __future__ import annotations

import threading
from contextlib import nullcontext

from apps.jobs.conduct import Progress, conduct
from apps.jobs.models import JobState
from apps.jobs.turns import turn_of_its_own
from apps.models.work.kinds import EXPECTED, work_of
from apps.models.work.models import ModelJob


def run(
    job: ModelJob,
    *,
    stops: threading.Event,
    stopped_as: JobState = JobState.INTERRUPTED,
    on_progress: Progress | None = None,
) -> None:
    """Run a queued job until it ends or ``stops`` is set, in its turn. Raises AnotherWorks.

    Jobs that hold a model in memory take turns on a machine.
    """
    with turn_of_its_own() if job.is_heavy else nullcontext():
        carry_out(job, stops=stops, stopped_as=stopped_as, on_progress=on_progress)


def carry_out(
    job: ModelJob,
    *,
    stops: threading.Event,
    stopped_as: JobState = JobState.INTERRUPTED,
    on_progress: Progress | None = None,
) -> None:
    """As ``run``, for whoever has the turn already."""
    conduct(
        job,
        lambda report: work_of(job)(job, report),
        expected=EXPECTED,
        worker_stops=stops,
        stopped_as=stopped_as,
        on_progress=on_progress,
    )
