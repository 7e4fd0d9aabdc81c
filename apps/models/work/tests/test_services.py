from __future__ import annotations

import socket
import threading

import pytest

from apps.jobs.models import JobState
from apps.models.errors import JobActive
from apps.models.models import LocalModel
from apps.models.work import services, tasks, turns
from apps.models.work.models import ModelJob
from apps.models.work.running import run
from apps.models.work.shown import figures_of
from apps.models.work.tests.conftest import carried_out

pytestmark = pytest.mark.django_db(transaction=True)


run_model_job = tasks.run_model_job
"""The task itself, where a test has put a list in its place."""


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The jobs that the worker was asked to run."""
    keys: list[int] = []
    monkeypatch.setattr(tasks, "run_model_job", keys.append)
    return keys


def conversion(**fields: object) -> ModelJob:
    return ModelJob.objects.create(kind=ModelJob.Kind.CONVERT, subject="Tiny", **fields)


def test_a_job_that_is_over_can_be_forgotten_and_others_not(model: LocalModel) -> None:
    job = services.order_verification(model=model)
    with pytest.raises(JobActive, match="Cancel it first"):
        services.forget(job=job)

    services.cancel(job=job)
    services.forget(job=job)

    assert not ModelJob.objects.exists()


def test_a_job_that_failed_can_be_started_again(queued: list[int]) -> None:
    job = conversion(state=JobState.FAILED, error="No room.")

    services.repeat(job=job)

    assert (job.state, job.error) == (JobState.QUEUED, "")
    assert queued == [job.pk]


def test_a_job_that_is_done_is_not_started_again(queued: list[int]) -> None:
    services.repeat(job=conversion(state=JobState.DONE))

    assert queued == []


def test_the_worker_takes_up_what_was_queued_and_shows_what_was_lost(queued: list[int]) -> None:
    waiting = conversion()
    lost = conversion(state=JobState.RUNNING, runner=f"{socket.gethostname()}:1:1.00")

    tasks.take_up_model_jobs()

    lost.refresh_from_db()
    assert queued == [waiting.pk]
    assert (lost.state, lost.error) == (JobState.INTERRUPTED, tasks.LOST)


def test_two_jobs_that_hold_a_model_take_turns() -> None:
    first, second = conversion(), conversion()

    with turns.alone(first), pytest.raises(turns.AnotherWorks):
        run(second, stops=threading.Event())

    second.refresh_from_db()
    assert second.state == JobState.QUEUED


def test_one_that_waits_for_its_turn_is_left_in_the_queue_and_woken_up_by_the_one_before_it(
    queued: list[int],
) -> None:
    first, second = conversion(plan={"slug": "a", "name": "A"}), conversion()
    with turns.alone(first):
        run_model_job.call_local(second.pk)
        assert queued == []
    second.refresh_from_db()
    assert second.state == JobState.QUEUED
    queued.clear()

    run_model_job.call_local(first.pk)  # its model is gone: it ends at once

    first.refresh_from_db()
    assert first.state == JobState.FAILED
    assert queued == [second.pk]


def test_a_verification_waits_for_nobody(model: LocalModel) -> None:
    with turns.alone(conversion()):
        job = carried_out(services.order_verification(model=model))

    assert job.state == JobState.DONE


def test_figures_are_told_before_and_after() -> None:
    measured = {"size_bytes": 1024, "bits_per_weight": 16.0, "perplexity": 10.0}
    after = measured | {"size_bytes": 256, "perplexity": 11.0, "tokens_per_second": 3.0}
    rows = figures_of(conversion(figures={"before": measured, "after": after}))

    assert [(row.label, row.change) for row in rows] == [
        ("Size of the weights", "-75.0%"),
        ("Bits per weight", "none"),
        ("Perplexity", "+10.0%"),
        ("Tokens per second", ""),
    ]
    assert rows[3].before == "not measured"
