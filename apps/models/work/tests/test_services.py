from __future__ import annotations

import socket
import threading

import pytest

from apps.jobs import line
from apps.jobs.models import JobState
from apps.jobs.tasks import take_turns
from apps.jobs.turns import AnotherWorks, turn_of_its_own
from apps.models.errors import JobActive
from apps.models.models import LocalModel
from apps.models.work import services, tasks
from apps.models.work.models import ModelJob
from apps.models.work.running import run
from apps.models.work.shown import figures_of
from apps.models.work.tests.conftest import carried_out

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The jobs that the worker was asked to run."""
    keys: list[int] = []
    monkeypatch.setattr(tasks, "run_model_job", keys.append)
    monkeypatch.setattr(
        "apps.jobs.tasks.take_turns", lambda: keys.extend(one.pk for one in line.waiting())
    )
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
    waits = conversion()

    with turn_of_its_own(), pytest.raises(AnotherWorks):
        run(waits, stops=threading.Event())

    waits.refresh_from_db()
    assert waits.state == JobState.QUEUED


def test_the_line_runs_those_that_hold_a_model_in_their_order() -> None:
    plan = {"slug": "a", "name": "A"}
    first, second = conversion(plan=plan), conversion(plan=plan)
    line.move(job=second, by=-1)

    take_turns.call_local()  # their model is gone: they end at once

    states = ModelJob.objects.filter(pk__in=(first.pk, second.pk)).values_list("state", flat=True)
    assert set(states) == {JobState.FAILED}
    ended = ModelJob.objects.order_by("finished_at").values_list("pk", flat=True)
    assert list(ended) == [second.pk, first.pk]


def test_a_verification_waits_for_nobody(model: LocalModel) -> None:
    with turn_of_its_own():
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
