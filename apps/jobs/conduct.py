"""One job from its claim to its end, whatever that is; the row tells which.

The work runs in the caller's thread and says how far it is through ``Report``. A
thread beside it writes that down once a second, with a sign of life, and looks
what somebody asked for; the next ``Report`` then ends the work.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from apps.jobs.models import J, Job, JobState, Wish, this_process
from apps.observability.ids import marked
from apps.observability.instruments import JOB_RUNS

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
"""How often a running job's row is written."""

BROKEN = "It failed for a reason that was not foreseen; the log of the worker has it."
STOPPED = "The hub was stopped while it ran."

_UNAVAILABLE = (OperationalError, InterfaceError)
"""The database is locked, full or away: it may take the same statement a second later."""


Progress = Callable[[str, float], None]
"""Called with what is being done and how far along the job is, from 0.0 to 1.0."""


class Report(Protocol):
    """Says how far the work is; raises JobEnds where the work is to end."""

    def __call__(self, doing: str, fraction: float, **fields: Any) -> None:
        """``doing``: the present stage, in words. ``fraction``: how far the job is, 0.0 to 1.0.

        ``fields`` of the job's own model are written along with the next sign of life.
        """


class JobEnds(Exception):
    """The job is to leave its work now, in this state. Let it pass."""

    def __init__(self, state: JobState, why: str = "") -> None:
        """``why``: what its row says of that; empty: what it says of this state anyway."""
        super().__init__(f"The job ends: {state}.")
        self.state = state
        self.why = why or _why(state)


def claim(job: Job, **fields: Any) -> bool:
    """Take a queued job for this process; False where it is no longer queued.

    ``fields`` of the job's own model are set in the same statement. Raises IntegrityError
    where a constraint of that model does not let it run now.
    """
    now = timezone.now()
    rows = job.row.queued()
    claimed = rows.update(
        state=JobState.RUNNING,
        runner=this_process(),
        wish=Wish.NONE,
        error="",
        started_at=now,
        seen_at=now,
        finished_at=None,
        **fields,
    )
    job.refresh_from_db()
    return bool(claimed)


def conduct(
    job: J,
    work: Callable[[Report], None],
    *,
    expected: tuple[type[Exception], ...],
    worker_stops: threading.Event,
    stopped_as: JobState = JobState.INTERRUPTED,
    take: Callable[[J], bool] = claim,
    on_progress: Progress | None = None,
) -> None:
    """Run a queued job to its end. Returns at once where it is no longer queued.

    An exception of a kind that is ``expected`` is the job's own failure and its message
    is shown; any other is raised, for the caller to log. ``stopped_as``: the state that
    a job has when its worker is stopped, ``QUEUED`` for one that goes on by itself.
    ``take``: what claims it; what that raises leaves the job in the queue.
    ``on_progress``: whoever waits for it here, such as a command with its bar.
    """
    if not take(job):
        return
    mark = f"{job._meta.label_lower}:{job.pk}"
    with marked(job=mark), _pulse(job, worker_stops, stopped_as) as pulse:
        try:
            work(_watched(pulse.report, on_progress) if on_progress else pulse.report)
        except JobEnds as end:
            pulse.outcome = {"state": end.state, "error": end.why}
        except expected as error:
            pulse.outcome = {"state": JobState.FAILED, "error": str(error)}
        except Exception:
            # The traceback is the caller's to log; the row must not stay "running".
            pulse.outcome = {"state": JobState.FAILED, "error": BROKEN}
            raise
        else:
            pulse.outcome = {"state": JobState.DONE, "fraction": 1.0, "doing": "", "error": ""}


def _watched(report: Report, on_progress: Progress) -> Report:
    def tell(doing: str, fraction: float, **fields: Any) -> None:
        on_progress(doing, fraction)
        report(doing, fraction, **fields)

    return tell


class _Pulse:
    """The row's view of running work, and the work's view of what is asked of it."""

    def __init__(self, job: Job, worker_stops: threading.Event, stopped_as: JobState) -> None:
        # What holds where the process itself is told to end in the middle of the work.
        self.outcome: dict[str, Any] = {"state": stopped_as, "error": _why(stopped_as)}
        self._job = job
        self._mine = job.row.running().filter(runner=this_process())
        self._latest: dict[str, Any] = {"doing": job.doing, "fraction": job.fraction}
        self._worker_stops = worker_stops
        self._stopped_as = stopped_as
        self._asked: JobState | None = None

    def report(self, doing: str, fraction: float, **fields: Any) -> None:
        self._latest = {
            **self._latest,
            **fields,
            "doing": doing[:200],
            "fraction": min(max(fraction, 0.0), 1.0),
        }
        if self._worker_stops.is_set():
            raise JobEnds(self._stopped_as)
        if self._asked is not None:
            raise JobEnds(self._asked)

    def beat(self) -> None:
        """Write how far it is; learn what is asked, also where the row was taken away."""
        kept = self._mine.update(seen_at=timezone.now(), **self._latest)
        wish = self._mine.values_list("wish", flat=True).first()
        if not kept or wish is None:
            self._asked = JobState.INTERRUPTED
        elif wish == Wish.CANCEL:
            self._asked = JobState.CANCELLED
        elif wish == Wish.PAUSE:
            self._asked = JobState.PAUSED

    def leave(self) -> None:
        """Leave ``running``, however long the database is away; the process keeps trying.

        A job that was taken away stays as it is now.
        """
        while True:
            try:
                self._leave()
            except _UNAVAILABLE:
                logger.exception("The end of %s could not be written.", self._job)
                # A worker that ends now is found gone, and its job with it, at the next start.
                if self._worker_stops.wait(BEAT_SECONDS):
                    raise
            else:
                return

    def _leave(self) -> None:
        with transaction.atomic():
            mine = self._mine.select_for_update()
            wish = mine.values_list("wish", flat=True).first()
            if wish is None:
                return
            outcome = self.outcome | _granted(wish, self.outcome["state"])
            waits = outcome["state"] in (JobState.QUEUED, JobState.PAUSED)
            self._mine.update(
                **self._latest
                | {
                    "wish": Wish.NONE,
                    "runner": "",
                    "finished_at": None if waits else timezone.now(),
                }
                | outcome
            )


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
        outcome = str(pulse.outcome["state"])
        JOB_RUNS.labels(type(job).__name__.lower(), outcome).inc()
        logger.info("%s %s is %s.", job._meta.verbose_name, job.pk, outcome)
        # Whoever deletes the row of a running job has the last word.
        with suppress(ObjectDoesNotExist):
            job.refresh_from_db()


def _granted(wish: str, state: JobState) -> dict[str, Any]:
    """What a wish that came at the last moment makes of a job that would go on later."""
    if wish == Wish.CANCEL and state in (JobState.QUEUED, JobState.PAUSED, JobState.INTERRUPTED):
        return {"state": JobState.CANCELLED, "error": ""}
    if wish == Wish.PAUSE and state == JobState.QUEUED:
        return {"state": JobState.PAUSED, "error": ""}
    return {}


def _why(state: JobState) -> str:
    return STOPPED if state == JobState.INTERRUPTED else ""
