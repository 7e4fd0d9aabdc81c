"""One job from its claim to its end, whatever that is; the row tells which.

The work runs in the caller's thread and says how far it is through ``Report``. A
thread beside it writes that down once a second, with a sign of life, and looks
what somebody asked for; the next ``Report`` then ends the work.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, connection
from django.utils import timezone

from apps.jobs.models import Job, JobQuerySet, JobState, Wish, this_process

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
"""How often a running job's row is written."""

BROKEN = "It failed for a reason that was not foreseen; the log of the worker has it."
STOPPED = "The hub was stopped while it ran."

Report = Callable[[str, float], None]
"""Takes the present stage and how far the job is, 0.0 to 1.0. Raises JobEnds."""


class JobEnds(Exception):
    """The job is to leave its work now, in this state. Let it pass."""

    def __init__(self, state: JobState) -> None:
        super().__init__(f"The job ends: {state}.")
        self.state = state


def conduct(
    job: Job,
    work: Callable[[Report], None],
    *,
    expected: tuple[type[Exception], ...],
    worker_stops: threading.Event,
    stopped_as: JobState = JobState.INTERRUPTED,
) -> None:
    """Run a queued job to its end. Returns at once where it is no longer queued.

    An exception of a kind that is ``expected`` is the job's own failure and its message
    is shown; any other is raised, for the caller to log. ``stopped_as``: the state that
    a job has when its worker is stopped, ``QUEUED`` for one that goes on by itself.
    """
    if not _claim(job):
        return
    with _pulse(job, worker_stops, stopped_as) as pulse:
        try:
            work(pulse.report)
        except JobEnds as end:
            pulse.outcome = {"state": end.state, "error": _why(end.state)}
        except expected as error:
            pulse.outcome = {"state": JobState.FAILED, "error": str(error)}
        except Exception:
            # The traceback is the caller's to log; the row must not stay "running".
            pulse.outcome = {"state": JobState.FAILED, "error": BROKEN}
            raise
        else:
            pulse.outcome = {"state": JobState.DONE, "fraction": 1.0, "doing": "", "error": ""}


class _Pulse:
    """The row's view of running work, and the work's view of what is asked of it."""

    def __init__(self, job: Job, worker_stops: threading.Event, stopped_as: JobState) -> None:
        # What holds where the process itself is told to end in the middle of the work.
        self.outcome: dict[str, Any] = {"state": stopped_as, "error": _why(stopped_as)}
        self._rows: JobQuerySet[Job] = type(job)._default_manager.filter(  # type: ignore[assignment]
            pk=job.pk, state=JobState.RUNNING, runner=this_process()
        )
        self._latest = (job.doing, job.fraction)
        self._worker_stops = worker_stops
        self._stopped_as = stopped_as
        self._asked: JobState | None = None

    def report(self, doing: str, fraction: float) -> None:
        self._latest = (doing[:200], min(max(fraction, 0.0), 1.0))
        if self._worker_stops.is_set():
            raise JobEnds(self._stopped_as)
        if self._asked is not None:
            raise JobEnds(self._asked)

    def beat(self) -> None:
        """Write how far it is; learn what is asked, also where the row was taken away."""
        doing, fraction = self._latest
        kept = self._rows.update(seen_at=timezone.now(), doing=doing, fraction=fraction)
        wish = self._rows.values_list("wish", flat=True).first()
        if not kept or wish == Wish.CANCEL:
            self._asked = JobState.CANCELLED
        elif wish == Wish.PAUSE:
            self._asked = JobState.PAUSED

    def leave(self) -> None:
        """Leave ``running``; a job that somebody else ended stays as it is."""
        doing, fraction = self._latest
        waits = self.outcome["state"] in (JobState.QUEUED, JobState.PAUSED)
        last = {
            "doing": doing,
            "fraction": fraction,
            "wish": Wish.NONE,
            "runner": "",
            "finished_at": None if waits else timezone.now(),
        }
        self._rows.update(**last | self.outcome)


@contextmanager
def _pulse(job: Job, worker_stops: threading.Event, stopped_as: JobState) -> Iterator[_Pulse]:
    pulse = _Pulse(job, worker_stops, stopped_as)
    over = threading.Event()

    def beat_on() -> None:
        try:
            while not over.wait(BEAT_SECONDS):
                try:
                    pulse.beat()
                except DatabaseError:
                    logger.exception("The sign of life of %s could not be written.", job)
        finally:
            connection.close()

    thread = threading.Thread(target=beat_on, name=f"pulse of {job._meta.model_name} {job.pk}")
    thread.start()
    try:
        yield pulse
    finally:
        over.set()
        thread.join()
        pulse.leave()
        job.refresh_from_db()


def _claim(job: Job) -> bool:
    """Take a queued job; False where it is no longer queued."""
    now = timezone.now()
    rows = type(job)._default_manager.filter(pk=job.pk, state=JobState.QUEUED)
    claimed = rows.update(
        state=JobState.RUNNING, runner=this_process(), wish=Wish.NONE, started_at=now, seen_at=now
    )
    job.refresh_from_db()
    return bool(claimed)


def _why(state: JobState) -> str:
    return STOPPED if state == JobState.INTERRUPTED else ""
