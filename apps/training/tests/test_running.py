"""A job trains in a process of its own and ends with an adapter, however it is interrupted."""

from __future__ import annotations

import threading
from pathlib import Path

import psutil
import pytest

from apps.jobs.models import JobState
from apps.jobs.turns import turn_of_its_own
from apps.models.models import LocalModel
from apps.training import services, tasks
from apps.training.errors import BadOrder, StillAtWork
from apps.training.models import Metric, TrainingJob
from apps.training.recording import record
from apps.training.tests.jobs import SETTINGS, trained
from apps.training.trainer.events import EventLog, Trained


@pytest.fixture
def job(base: LocalModel, data: Path) -> TrainingJob:
    return services.order(base=base, data=data, name="Numbers", settings=SETTINGS)


def test_a_job_leaves_an_adapter_and_its_figures(job: TrainingJob, base: LocalModel) -> None:
    trained(job)
    assert (job.state, job.ending, job.step) == (JobState.DONE, "finished", 400)
    adapter = base.adapters.get()
    assert (adapter, adapter.slug, adapter.name) == (job.adapter, "numbers", "Numbers")
    losses = Metric.objects.series(job, Metric.Name.LOSS)
    assert [metric.step for metric in losses] == list(range(10, 401, 10))
    validation = Metric.objects.series(job, Metric.Name.VALIDATION)
    assert [metric.step for metric in validation] == [0, 200, 400]
    assert job.facts["rows"] == 10
    assert job.rows["worst_rows"]
    assert [sample.step for sample in job.samples.all()] == [0, 200, 400]


def test_a_worker_that_is_stopped_leaves_a_job_that_goes_on(job: TrainingJob) -> None:
    stops = threading.Event()
    trained(job, stops=stops, at_step=(10, stops.set))
    assert job.state == JobState.QUEUED
    assert 0 < job.step < 400
    trained(job)
    assert job.state == JobState.DONE
    losses = Metric.objects.series(job, Metric.Name.LOSS)
    assert [metric.step for metric in losses] == list(range(10, 401, 10))


def test_a_job_that_is_stopped_can_be_used_and_resumed(job: TrainingJob) -> None:
    trained(job, at_step=(10, lambda: services.stop(job=job)))
    assert job.state == JobState.PAUSED
    assert job.adapter is not None
    before = job.adapter.digest
    services.resume(job=job)
    assert job.state == JobState.QUEUED
    trained(job)
    assert job.state == JobState.DONE
    assert job.adapter is not None
    assert job.adapter.digest != before


def test_a_job_that_is_cancelled_leaves_no_adapter(job: TrainingJob) -> None:
    trained(job, at_step=(10, lambda: services.cancel(job=job)))
    assert (job.state, job.adapter) == (JobState.CANCELLED, None)


def test_a_trainer_that_is_killed_is_told_with_its_last_lines(job: TrainingJob) -> None:
    def kill() -> None:
        for child in psutil.Process().children():
            child.kill()

    trained(job, at_step=(10, kill))
    assert job.state == JobState.FAILED
    assert "died without a word" in job.error
    services.resume(job=job)
    trained(job)
    assert job.state == JobState.DONE


def test_a_job_that_can_not_work_says_why(job: TrainingJob, data: Path) -> None:
    (data / "train.jsonl").write_text("")
    trained(job)
    assert (job.state, job.fault) == (JobState.FAILED, "bad_data")
    assert "has no rows" in job.error


def test_a_job_whose_base_was_deleted_says_so(job: TrainingJob, base: LocalModel) -> None:
    base.delete()
    job.refresh_from_db()
    trained(job)
    assert "Base was deleted" in job.error


def test_what_a_run_tells_twice_is_kept_once(job: TrainingJob) -> None:
    job.run.mkdir()
    log = EventLog(job.run)
    for step in (1, 2, 1, 2, 3):
        log.tell(
            Trained(
                step=step,
                loss=1.0 / step,
                learning_rate=0.1,
                gradient_norm=1.0,
                tokens=step,
                tokens_per_second=1.0,
                peak_memory=1,
            )
        )
        record(job)
    assert record(job) == []
    losses = Metric.objects.series(job, Metric.Name.LOSS)
    assert [(metric.step, metric.value) for metric in losses] == [(1, 1), (2, 0.5), (3, 1 / 3)]


class TestAnOrderIsRefused:
    def test_with_settings_that_can_not_work(self, base: LocalModel, data: Path) -> None:
        with pytest.raises(BadOrder, match="learning_rate"):
            services.order(base=base, data=data, name="x", settings={"learning_rate": "nan"})

    def test_without_rows_to_train_on(self, base: LocalModel, tmp_path: Path) -> None:
        with pytest.raises(BadOrder, match=r"no train\.jsonl"):
            services.order(base=base, data=tmp_path, name="x", settings={})

    def test_with_a_name_that_is_taken(
        self, job: TrainingJob, base: LocalModel, data: Path
    ) -> None:
        with pytest.raises(BadOrder, match="numbers"):
            services.order(base=base, data=data, name="Numbers", settings={})

    def test_without_a_name(self, base: LocalModel, data: Path) -> None:
        with pytest.raises(BadOrder, match="letters"):
            services.order(base=base, data=data, name="!!", settings={})


def test_a_job_at_work_is_not_deleted(job: TrainingJob) -> None:
    with pytest.raises(StillAtWork):
        services.delete(job=job)
    services.cancel(job=job)
    services.delete(job=job)
    assert not TrainingJob.objects.exists()


WHOLE = {"num_layers": -1, "learning_rate": 1e-4}


def test_full_training_leaves_a_model_with_its_lineage(base: LocalModel, data: Path) -> None:
    settings = {"method": "full", "iters": 6, "steps_per_save": 2} | WHOLE
    job = services.order(base=base, data=data, name="Whole", settings=settings)
    trained(job)
    assert job.state == JobState.DONE, job.error
    made = job.result
    assert made is not None
    assert (made.slug, made.source, job.api_name) == ("whole", "trained", "whole")
    assert (made.derived_from, made.derivation) == (base, "all weights trained")
    assert Path(made.path, "model.safetensors").is_file()
    assert job.adapter is None


def test_full_training_that_is_stopped_leaves_no_model_yet(base: LocalModel, data: Path) -> None:
    settings = {"method": "full", "iters": 400, "steps_per_report": 1} | WHOLE
    job = services.order(base=base, data=data, name="Whole", settings=settings)
    trained(job, at_step=(2, lambda: services.stop(job=job)))
    assert (job.state, job.result) == (JobState.PAUSED, None)
    services.resume(job=job)
    trained(job)
    assert job.result is not None


def test_training_waits_for_other_work_that_holds_a_model(
    job: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "run", lambda *_, **__: pytest.fail("it did not wait"))
    woken: list[int] = []
    with turn_of_its_own():
        tasks.run_training.call_local(job.pk)
        monkeypatch.setattr(tasks, "run_training", woken.append)
        assert woken == []
    assert woken == [job.pk]
