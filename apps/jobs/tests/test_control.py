"""What may be asked of a job, in whatever state it is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.jobs import control
from apps.jobs.models import SILENT_AFTER, JobState, Wish, this_process
from apps.jobs.tests.digging import Dig, dead_runner

pytestmark = pytest.mark.django_db


def make(state: JobState, **fields: object) -> Dig:
    return Dig.objects.create(state=state, **fields)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.PAUSED])
def test_one_that_nobody_is_at_is_cancelled_at_once(state: JobState) -> None:
    job = make(state)
    control.cancel(job)
    assert (job.state, job.wish) == (JobState.CANCELLED, Wish.NONE)
    assert job.finished_at is not None


def test_a_running_one_is_asked_to_end() -> None:
    job = make(JobState.RUNNING)
    control.cancel(job)
    assert (job.state, job.wish, job.finished_at) == (JobState.RUNNING, Wish.CANCEL, None)


@pytest.mark.parametrize("state", [JobState.DONE, JobState.FAILED, JobState.INTERRUPTED])
def test_one_that_is_over_stays_as_it_is(state: JobState) -> None:
    job = make(state)
    control.cancel(job)
    control.pause(job)
    assert job.state == state


def test_a_queued_one_is_paused_at_once_and_a_running_one_is_asked() -> None:
    queued, running = make(JobState.QUEUED), make(JobState.RUNNING)
    control.pause(queued)
    control.pause(running)
    assert queued.state == JobState.PAUSED
    assert (running.state, running.wish) == (JobState.RUNNING, Wish.PAUSE)


def test_a_cancellation_is_not_made_a_pause() -> None:
    job = make(JobState.RUNNING, wish=Wish.CANCEL)
    control.pause(job)
    assert job.wish == Wish.CANCEL


def test_a_pause_can_still_become_a_cancellation() -> None:
    job = make(JobState.RUNNING, wish=Wish.PAUSE)
    control.cancel(job)
    assert job.wish == Wish.CANCEL


@pytest.mark.parametrize(
    "state",
    [JobState.PAUSED, JobState.FAILED, JobState.CANCELLED, JobState.INTERRUPTED],
)
def test_one_that_stands_still_can_go_on(state: JobState) -> None:
    job = make(state, error="It hit a rock.", finished_at=timezone.now())
    assert control.requeue(job)
    assert (job.state, job.error, job.finished_at) == (JobState.QUEUED, "", None)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.DONE])
def test_one_that_does_not_stand_still_is_not_queued_again(state: JobState) -> None:
    job = make(state)
    assert not control.requeue(job)
    assert job.state == state


@pytest.mark.parametrize(
    ("wish", "as_state", "state", "error"),
    [
        (Wish.NONE, JobState.INTERRUPTED, JobState.INTERRUPTED, "Its process ended."),
        (Wish.NONE, JobState.QUEUED, JobState.QUEUED, ""),
        (Wish.PAUSE, JobState.QUEUED, JobState.PAUSED, ""),
        (Wish.CANCEL, JobState.QUEUED, JobState.CANCELLED, ""),
        (Wish.CANCEL, JobState.INTERRUPTED, JobState.CANCELLED, ""),
    ],
)
def test_an_orphan_becomes_what_was_asked_or_what_its_kind_does(
    wish: Wish, as_state: JobState, state: JobState, error: str
) -> None:
    job = make(JobState.RUNNING, wish=wish, runner=dead_runner())

    settled = control.settle_orphans(
        Dig.objects.all(), error="Its process ended.", as_state=as_state
    )

    job.refresh_from_db()
    assert settled == 1
    assert (job.state, job.error, job.wish, job.runner) == (state, error, Wish.NONE, "")
    assert (job.finished_at is None) == (state in (JobState.QUEUED, JobState.PAUSED))


def test_a_process_of_this_machine_that_lives_is_never_an_orphans() -> None:
    long_ago = timezone.now() - 100 * SILENT_AFTER
    make(JobState.RUNNING, runner=this_process(), seen_at=long_ago)
    assert not Dig.objects.all().orphaned().exists()


@pytest.mark.parametrize(("silence", "orphaned"), [(0.5, False), (1.5, True)])
def test_of_another_machines_process_only_its_silence_tells(silence: float, orphaned: bool) -> None:
    seen_at = timezone.now() - silence * SILENT_AFTER
    make(JobState.RUNNING, runner="elsewhere:1:2.00", seen_at=seen_at)
    assert Dig.objects.all().orphaned().exists() == orphaned


def test_a_clock_that_was_set_makes_no_orphans() -> None:
    host, pid, started = this_process().rsplit(":", 2)
    make(JobState.RUNNING, runner=f"{host}:{pid}:{float(started) + 1:.2f}")
    assert not Dig.objects.all().orphaned().exists()


def test_jobs_are_told_apart_by_whether_they_are_over() -> None:
    for state in JobState:
        make(state, started_at=timezone.now() - timedelta(hours=1))
    assert {job.state for job in Dig.objects.all().active()} == {"queued", "running"}
    assert {job.state for job in Dig.objects.all().ended()} == {
        "done",
        "failed",
        "cancelled",
        "interrupted",
    }
