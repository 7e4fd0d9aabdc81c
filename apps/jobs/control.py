"""What a person may ask of a job: to pause, to end, to go on."""

from __future__ import annotations

from django.utils import timezone

from apps.jobs.models import RESUMABLE, J, Job, JobQuerySet, JobState, Wish


def _rows(job: Job) -> JobQuerySet[Job]:
    rows: JobQuerySet[Job] = type(job)._default_manager.filter(pk=job.pk)  # type: ignore[assignment]
    return rows


def cancel(job: Job) -> None:
    """End it: at once where no process is at it, else within a second or two."""
    idle = _rows(job).filter(state__in=(JobState.QUEUED, JobState.PAUSED))
    idle.update(state=JobState.CANCELLED, finished_at=timezone.now())
    _rows(job).running().update(wish=Wish.CANCEL)
    job.refresh_from_db()


def pause(job: Job) -> None:
    """Have it wait until it is resumed; what is done stays done."""
    _rows(job).queued().update(state=JobState.PAUSED)
    _rows(job).running().filter(wish=Wish.NONE).update(wish=Wish.PAUSE)
    job.refresh_from_db()


def requeue(job: Job) -> bool:
    """Put a job that stands still back in the queue; whether it stood still.

    The caller wakes a worker up for it once the transaction is committed.
    """
    changed = (
        _rows(job)
        .filter(state__in=RESUMABLE)
        .update(state=JobState.QUEUED, wish=Wish.NONE, error="", runner="", finished_at=None)
    )
    job.refresh_from_db()
    return bool(changed)


def settle_orphans(jobs: JobQuerySet[J], *, error: str) -> int:
    """Show the jobs whose process is gone as interrupted; how many there were."""
    return jobs.orphaned().update(
        state=JobState.INTERRUPTED, error=error, wish=Wish.NONE, finished_at=timezone.now()
    )
