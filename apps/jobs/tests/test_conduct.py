"""A job from its claim to its end, whoever interferes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction

from apps.jobs import conduct as conducting
from apps.jobs import control
from apps.jobs.conduct import BROKEN, STOPPED, JobEnds, Report, claim, conduct
from apps.jobs.models import JobState, Wish
from apps.jobs.tests.digging import Dig

# The row is written by a thread of its own.
pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 30.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conducting, "BEAT_SECONDS", 0.01)


def run(job: Dig, work: Callable[[Report], None], **options: Any) -> Dig:
    options = {"expected": (ValueError,), "worker_stops": threading.Event()} | options
    conduct(job, work, **options)
    return job


def dig_on(report: Report) -> None:
    """Works until it is told to end."""
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        report("digging", 0.5)
        pause.wait(0.01)
    raise AssertionError("nobody ended it")


def test_a_job_that_gets_through_is_done() -> None:
    job = run(Dig.objects.create(), lambda report: report("digging", 0.4))

    assert (job.state, job.fraction, job.doing, job.error) == (JobState.DONE, 1.0, "", "")
    assert (job.runner, job.wish) == ("", Wish.NONE)
    assert job.started_at is not None
    assert job.finished_at is not None


def test_its_row_tells_how_far_it_is_while_it_runs() -> None:
    seen: list[Dig] = []

    def work(report: Report) -> None:
        report("digging " + "x" * 300, 7.0, holes=3)
        until(lambda: Dig.objects.filter(holes=3).exists())
        seen.append(Dig.objects.get())

    run(Dig.objects.create(), work)

    assert (seen[0].state, seen[0].fraction, len(seen[0].doing)) == (JobState.RUNNING, 1.0, 200)
    assert seen[0].runner
    assert Dig.objects.get().holes == 3


def test_what_was_told_last_is_written_where_no_beat_came_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conducting, "BEAT_SECONDS", 60)

    def work(report: Report) -> None:
        report("digging", 0.3, holes=5)
        raise ValueError("It hit a rock.")

    job = run(Dig.objects.create(), work)

    assert (job.state, job.error) == (JobState.FAILED, "It hit a rock.")
    assert (job.doing, job.fraction, job.holes) == ("digging", 0.3, 5)


def test_a_failure_that_nobody_foresaw_is_raised_and_shown_without_its_words() -> None:
    job = Dig.objects.create()

    def work(report: Report) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(job, work)

    assert (job.state, job.error) == (JobState.FAILED, BROKEN)


def test_a_job_that_is_not_queued_is_left_alone() -> None:
    job = Dig.objects.create(state=JobState.PAUSED)
    run(job, lambda report: pytest.fail("it ran"))

    assert job.state == JobState.PAUSED


def test_two_workers_run_a_job_once() -> None:
    key = Dig.objects.create().pk
    together, runs = threading.Barrier(2), []

    def worker() -> None:
        job = Dig.objects.get(pk=key)
        together.wait(PATIENCE)
        run(job, lambda report: runs.append(1))
        connection.close()

    threads = [threading.Thread(target=worker) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert runs == [1]


def test_a_claim_that_a_constraint_forbids_leaves_it_in_the_queue() -> None:
    first, second = Dig.objects.create(), Dig.objects.create()
    assert claim(first, spade=1)

    def take(job: Dig) -> bool:
        with transaction.atomic():
            return claim(job, spade=1)

    with pytest.raises(IntegrityError):
        run(second, lambda report: pytest.fail("it ran"), take=take)
    second.refresh_from_db()
    assert second.state == JobState.QUEUED


@pytest.mark.parametrize(
    ("ask", "state"), [(control.cancel, JobState.CANCELLED), (control.pause, JobState.PAUSED)]
)
def test_a_running_job_does_what_is_asked(ask: Callable[[Dig], None], state: str) -> None:
    job = Dig.objects.create()

    def work(report: Report) -> None:
        ask(Dig.objects.get())
        dig_on(report)

    run(job, work)

    assert (job.state, job.wish, job.error) == (state, Wish.NONE, "")
    assert (job.finished_at is None) == (state == JobState.PAUSED)


@pytest.mark.parametrize(
    ("stopped_as", "error"), [(JobState.INTERRUPTED, STOPPED), (JobState.QUEUED, "")]
)
def test_a_worker_that_is_stopped_ends_its_job(stopped_as: JobState, error: str) -> None:
    stops = threading.Event()

    def work(report: Report) -> None:
        stops.set()
        dig_on(report)

    job = run(Dig.objects.create(), work, worker_stops=stops, stopped_as=stopped_as)

    assert (job.state, job.error) == (stopped_as, error)
    assert (job.finished_at is None) == (stopped_as == JobState.QUEUED)


@pytest.mark.parametrize(
    ("ask", "state"), [(control.cancel, JobState.CANCELLED), (control.pause, JobState.PAUSED)]
)
def test_what_was_asked_when_the_worker_stopped_is_not_forgotten(
    ask: Callable[[Dig], None], state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conducting, "BEAT_SECONDS", 60)

    def work(report: Report) -> None:
        ask(Dig.objects.get())
        raise JobEnds(JobState.QUEUED)

    assert run(Dig.objects.create(), work).state == state


def test_ctrl_c_leaves_it_as_a_stopped_worker_does() -> None:
    job = Dig.objects.create()

    def work(report: Report) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(job, work, stopped_as=JobState.PAUSED)
    assert job.state == JobState.PAUSED


def test_a_job_that_was_taken_away_ends_and_stays_as_it_was_left() -> None:
    job = Dig.objects.create()

    def work(report: Report) -> None:
        Dig.objects.update(state=JobState.QUEUED, runner="")
        dig_on(report)

    run(job, work)

    assert job.state == JobState.QUEUED


def test_a_job_whose_row_is_deleted_ends() -> None:
    job = Dig.objects.create()

    def work(report: Report) -> None:
        Dig.objects.all().delete()
        dig_on(report)

    run(job, work)

    assert not Dig.objects.exists()


def test_a_sign_of_life_that_cannot_be_written_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    beats = failing(monkeypatch, "beat", DatabaseError("disk I/O error"), times=3)

    def work(report: Report) -> None:
        until(lambda: len(beats) > 4)

    assert run(Dig.objects.create(), work).state == JobState.DONE
    assert "sign of life" in caplog.text


def test_an_end_that_cannot_be_written_is_written_when_it_can(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing(monkeypatch, "_leave", OperationalError("database is locked"), times=3)

    assert run(Dig.objects.create(), lambda report: None).state == JobState.DONE
    assert "could not be written" in caplog.text


def test_a_worker_that_stops_does_not_wait_for_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing(monkeypatch, "_leave", OperationalError("database is locked"), times=3)
    stops = threading.Event()
    stops.set()

    with pytest.raises(OperationalError):
        run(Dig.objects.create(), lambda report: None, worker_stops=stops)


KILLED = """
import os, signal, sys, threading
import django
from django.conf import settings
django.setup()
settings.DATABASES["default"]["NAME"] = sys.argv[1]
from apps.jobs import conduct as conducting
from apps.jobs.tests.digging import Dig
conducting.BEAT_SECONDS = 0.01
def work(report):
    for hole in range(1, 10_000):
        report("digging", hole / 10_000, holes=hole)
        threading.Event().wait(0.01)
        if Dig.objects.get().holes > 5:
            os.kill(os.getpid(), signal.SIGKILL)
conducting.conduct(Dig.objects.get(), work, expected=(), worker_stops=threading.Event())
"""


def test_a_job_whose_process_is_killed_is_found_and_goes_on() -> None:
    job = Dig.objects.create()
    command = [sys.executable, "-c", KILLED, str(connection.settings_dict["NAME"])]
    child = subprocess.run(command, check=False, timeout=120)
    assert child.returncode == -9
    assert Dig.objects.get().state == JobState.RUNNING

    assert control.settle_orphans(Dig.objects.all(), error="", as_state=JobState.QUEUED) == 1

    job.refresh_from_db()
    assert job.holes > 5
    assert run(job, lambda report: None).state == JobState.DONE


def failing(
    monkeypatch: pytest.MonkeyPatch, method: str, error: Exception, *, times: int
) -> list[int]:
    """Have the first calls of a pulse's method fail; the list grows with every call."""
    real = getattr(conducting._Pulse, method)
    calls: list[int] = []

    def patched(self: object) -> None:
        calls.append(len(calls))
        if len(calls) <= times:
            raise error
        real(self)

    monkeypatch.setattr(conducting._Pulse, method, patched)
    return calls


def until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come true in time")
