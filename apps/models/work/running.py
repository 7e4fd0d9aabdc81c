"""Running one job to its end, in the worker or in a command's own process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from apps.jobs.conduct import Report, conduct
from apps.jobs.models import JobState
from apps.jobs.turns import turn_of_its_own
from apps.models.work.kinds import EXPECTED, work_of
from apps.models.work.models import ModelJob

Progress = Callable[[str, float], None]
"""Called with what is being done and how far along the job is, from 0.0 to 1.0."""


def run(
    job: ModelJob,
    *,
    stops: threading.Event,
    stopped_as: JobState = JobState.INTERRUPTED,
    on_progress: Progress = lambda doing, fraction: None,
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
    on_progress: Progress = lambda doing, fraction: None,
) -> None:
    """As ``run``, for whoever has the turn already."""

    def work(report: Report) -> None:
        def tell(doing: str, fraction: float, **fields: Any) -> None:
            on_progress(doing, fraction)
            report(doing, fraction, **fields)

        work_of(job)(job, tell)

    conduct(job, work, expected=EXPECTED, worker_stops=stops, stopped_as=stopped_as)
