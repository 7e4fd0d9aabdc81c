"""Whose turn it is among jobs of several kinds."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.jobs import line, tasks
from apps.jobs.models import JobState, Priority
from apps.jobs.tests.digging import Haul, Lift
from apps.jobs.turns import turn_of_its_own

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two kinds of job in a line of their own; what ran, in its order."""
    order: list[str] = []

    def run(job: Haul | Lift, stops: threading.Event) -> None:
        order.append(str(job))
        job.row.update(state=JobState.DONE)

    monkeypatch.setattr(line, "_kinds", {})
    line.join(Haul, line.Kind(Haul.objects.all, run))
    line.join(Lift, line.Kind(Lift.objects.all, run))
    return order


def names() -> list[str]:
    return [str(job) for job in line.waiting()]


def test_jobs_of_all_kinds_stand_in_one_line_by_when_they_came() -> None:
    Haul.objects.create(name="a")
    Lift.objects.create(name="b")
    Haul.objects.create(name="c")
    Haul.objects.create(name="done", state=JobState.DONE)
    assert names() == ["a", "b", "c"]


def test_a_higher_priority_comes_first() -> None:
    Haul.objects.create(name="usual")
    Lift.objects.create(name="low", priority=Priority.LOW)
    Haul.objects.create(name="high", priority=Priority.HIGH)
    assert names() == ["high", "usual", "low"]


def test_the_worker_runs_them_one_after_another(ran: list[str]) -> None:
    Haul.objects.create(name="a")
    Lift.objects.create(name="b")
    tasks.take_turns.call_local()
    assert ran == ["a", "b"]


def test_one_that_has_to_wait_is_passed_by_the_next(ran: list[str]) -> None:
    Haul.objects.create(name="later", not_before=timezone.now() + timedelta(hours=1))
    Lift.objects.create(name="now")
    tasks.take_turns.call_local()
    assert ran == ["now"]
    waits = line.waiting()[0]
    assert "waits until" in waits.hindrance
    Haul.objects.update(not_before=timezone.now())
    tasks.take_turns.call_local()
    assert ran == ["now", "later"]


def test_nobody_runs_while_another_process_has_the_turn(ran: list[str]) -> None:
    Haul.objects.create(name="a")
    with turn_of_its_own():
        tasks.take_turns.call_local()
    assert ran == []


def test_one_that_breaks_does_not_hold_up_the_line(
    ran: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(job: Lift, stops: threading.Event) -> None:
        job.row.update(state=JobState.FAILED)
        raise ValueError("broken")

    line.join(Lift, line.Kind(Lift.objects.all, breaks))
    Lift.objects.create(name="bad")
    Haul.objects.create(name="good")
    tasks.take_turns.call_local()
    assert ran == ["good"]
    assert "bad failed" in caplog.text


class TestMoving:
    @pytest.fixture(autouse=True)
    def three(self) -> None:
        for name in "abc":
            Haul.objects.create(name=name)

    def move(self, name: str, by: int) -> list[str]:
        line.move(job=next(job for job in line.waiting() if str(job) == name), by=by)
        return names()

    def test_goes_up_and_down_and_no_further_than_the_ends(self) -> None:
        assert self.move("c", -1) == ["a", "c", "b"]
        assert self.move("c", -9) == ["c", "a", "b"]
        assert self.move("c", 1) == ["a", "c", "b"]
        assert self.move("a", 9) == ["c", "b", "a"]

    def test_passes_those_of_another_kind(self) -> None:
        Lift.objects.create(name="d")
        assert self.move("d", -2) == ["a", "d", "b", "c"]

    def test_takes_the_priority_of_whom_it_passes(self) -> None:
        Lift.objects.create(name="high", priority=Priority.HIGH)
        assert self.move("a", -1) == ["a", "high", "b", "c"]
        assert self.move("high", 1) == ["a", "b", "high", "c"]

    def test_leaves_whoever_comes_later_behind(self) -> None:
        self.move("a", 9)
        Lift.objects.create(name="d")
        assert names() == ["b", "c", "a", "d"]

    def test_of_one_that_runs_changes_nothing(self) -> None:
        job = line.waiting()[2]
        job.row.update(state=JobState.RUNNING)
        line.move(job=job, by=-2)
        assert names() == ["a", "b"]


def test_a_job_is_found_by_its_kind_and_number() -> None:
    job = Lift.objects.create(name="a")
    assert line.find("jobs.lift", job.pk) == job
    assert line.find("jobs.lift", job.pk + 1) is None
    assert line.find("auth.user", 1) is None
