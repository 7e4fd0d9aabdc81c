"""What a person may ask of a job: to pause, to end, to go on.

A job may be claimed or left by a worker at any moment, so what becomes of it is
decided in one statement by the state that it finds.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import Case, DateTimeField, F, Value, When
from django.utils import timezone

from apps.jobs.models import RESUMABLE, J, Job, JobQuerySet, JobState, Wish
from apps.jobs.signals import asked


def cancel(job: Job) -> None:
    """End it: at once where no process is at it, else within a second or two."""
    with transaction.atomic():
        _cancel(job)
        asked.send(type(job), job=job, wish="cancel")
    job.refresh_from_db()


def _cancel(job: Job) -> None:
    running = When(state=JobState.RUNNING, then=F("state"))
    job.row.filter(state__in=(JobState.QUEUED, JobState.PAUSED, JobState.RUNNING)).update(
        state=Case(running, default=Value(JobState.CANCELLED)),
        wish=Case(When(state=JobState.RUNNING, then=Value(Wish.CANCEL)), default=Value(Wish.NONE)),
        finished_at=Case(
            When(state=JobState.RUNNING, then=F("finished_at")),
            default=Value(timezone.now(), output_field=DateTimeField()),
        ),
    )


def pause(job: Job) -> None:
    """Have it wait until it is resumed; what is done stays done."""
    with transaction.atomic():
        _pause(job)
        asked.send(type(job), job=job, wish="pause")
    job.refresh_from_db()


def _pause(job: Job) -> None:
    job.row.filter(state__in=(JobState.QUEUED, JobState.RUNNING)).exclude(wish=Wish.CANCEL).update(
        state=Case(When(state=JobState.RUNNING, then=F("state")), default=Value(JobState.PAUSED)),
        wish=Case(When(state=JobState.RUNNING, then=Value(Wish.PAUSE)), default=Value(Wish.NONE)),
    )


def requeue(job: Job) -> bool:
    """Put a job that stands still back in the queue; whether it stood still.

    The caller wakes a worker up for it once the transaction is committed.
    """
    with transaction.atomic():
        changed = job.row.filter(state__in=RESUMABLE).update(
            state=JobState.QUEUED,
            wish=Wish.NONE,
            error="",
            runner="",
            started_at=None,
            finished_at=None,
        )
        if changed:
            asked.send(type(job), job=job, wish="resume")
    job.refresh_from_db()
    return bool(changed)


def settle_orphans(
    jobs: JobQuerySet[J], *, error: str, as_state: JobState = JobState.INTERRUPTED
) -> int:
    """Take the jobs whose process is gone out of ``running``; how many there were.

    They are as if the process had ended by itself: in ``as_state``, ``QUEUED`` for those
    that go on by themselves, unless somebody had asked for something else.
    """
    goes_on = as_state == JobState.QUEUED
    return jobs.orphaned().update(
        state=Case(
            When(wish=Wish.CANCEL, then=Value(JobState.CANCELLED)),
            When(wish=Wish.PAUSE, then=Value(JobState.PAUSED)),
            default=Value(as_state),
        ),
        error=Case(When(wish=Wish.NONE, then=Value("" if goes_on else error)), default=Value("")),
        finished_at=Case(
            When(wish=Wish.PAUSE, then=None),
            When(wish=Wish.NONE, then=Value(None if goes_on else timezone.now())),
            default=Value(timezone.now()),
            output_field=DateTimeField(),
        ),
        wish=Wish.NONE,
        runner="",
    )
