"""A job trains in a process of its own and ends with an adapter, however it is interrupted."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from apps.jobs.models import JobState
from apps.jobs.tasks import take_turns
from apps.jobs.tests.digging import dead_runner
from apps.jobs.turns import turn_of_its_own
from apps.models.models import LocalModel
from apps.training import deaths, services, tasks
from apps.training.deaths import MOST_DEATHS
from apps.training.errors import BadOrder, StillAtWork
from apps.training.models import Metric, TrainingJob
from apps.training.recording import record
from apps.training.run_lock import FILE, WAITS
from apps.training.running import run
from apps.training.tests.jobs import SETTINGS, trained
from apps.training.trainer.events import Ended, EventLog, Trained
from apps.training.trainer.tests.runs import pairs, write_rows


@pytest.fixture
def job(base: LocalModel, data: Path) -> TrainingJob:
    return services.order(base=base, data=data, name="Numbers", settings=SETTINGS)


def test_a_job_leaves_an_adapter_and_its_figures(job: TrainingJob, base: LocalModel) -> None:
    trained(job)
    assert (job.state, job.ending, job.step) == (JobState.DONE, "finished", 400), job.error
    adapter = base.adapters.get()
    assert (adapter, adapter.slug, adapter.name) == (job.adapter, "numbers", "Numbers")
    losses = Metric.objects.series(job, Metric.Name.LOSS)
    assert [metric.step for metric in losses] == list(range(10, 401, 10))
    validation = Metric.objects.series(job, Metric.Name.VALIDATION)
    assert [metric.step for metric in validation] == [0, 200, 400]
    assert job.facts["rows"] == 10
    assert job.rows["worst_rows"]
    assert [sample.step for sample in job.samples.all()] == [0, 200, 400]


def test_a_job_of_pairs_leaves_an_adapter_and_its_rewards(base: LocalModel, data: Path) -> None:
    write_rows(data / "train.jsonl", pairs(10))
    write_rows(data / "valid.jsonl", pairs(5, first=50))
    often = {"steps_per_report": 2, "steps_per_eval": 3, "num_layers": -1}
    settings = {"objective": "dpo", "iters": 6} | often
    job = trained(services.order(base=base, data=data, name="Liked", settings=settings))
    assert job.state == JobState.DONE, job.error
    assert job.api_name == "base:liked"
    margins = Metric.objects.series(job, Metric.Name.MARGIN)
    assert [metric.step for metric in margins] == [2, 4, 6]
    accuracy = Metric.objects.series(job, Metric.Name.VALIDATION_ACCURACY)
    assert [metric.step for metric in accuracy] == [0, 3, 6]


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
    assert (job.state, job.is_stopped, job.is_resumable) == (JobState.DONE, True, True)
    assert job.adapter is not None
    before = job.adapter.digest
    services.resume(job=job)
    assert job.state == JobState.QUEUED
    trained(job)
    assert (job.state, job.step, job.is_stopped) == (JobState.DONE, 400, False)
    assert job.adapter is not None
    assert job.adapter.digest != before


def test_a_job_that_is_paused_leaves_its_result_later_or_on_demand(job: TrainingJob) -> None:
    trained(job, at_step=(10, lambda: services.pause(job=job)))
    assert (job.state, job.adapter, job.has_checkpoint) == (JobState.PAUSED, None, True)
    at = job.step
    services.keep(job=job)
    trained(job)
    assert (job.state, job.is_stopped, job.step) == (JobState.DONE, True, at)
    assert job.adapter is not None


def test_a_job_without_a_checkpoint_has_nothing_to_keep(job: TrainingJob) -> None:
    services.pause(job=job)
    with pytest.raises(BadOrder, match="no checkpoint"):
        services.keep(job=job)


def test_a_job_that_is_cancelled_leaves_no_adapter(job: TrainingJob) -> None:
    trained(job, at_step=(10, lambda: services.cancel(job=job)))
    assert (job.state, job.adapter) == (JobState.CANCELLED, None)


def kill_trainers() -> None:
    for child in psutil.Process().children():
        child.kill()


def test_a_trainer_that_is_killed_is_told_with_its_last_lines(job: TrainingJob) -> None:
    services.arrange(job=job, place=services.Place(self_resuming=False))
    trained(job, at_step=(10, kill_trainers))
    assert (job.state, job.fault) == (JobState.INTERRUPTED, "killed")
    assert "died without a word" in job.error
    services.resume(job=job)
    trained(job)
    assert job.state == JobState.DONE


def test_a_job_whose_trainer_dies_goes_on_by_itself(job: TrainingJob) -> None:
    trained(job, at_step=(10, kill_trainers))
    assert (job.state, job.deaths) == (JobState.QUEUED, 1)
    assert "died without a word" in job.error
    trained(job)
    assert (job.state, job.error) == (JobState.DONE, "")


def test_a_job_whose_trainer_dies_again_and_again_does_not(job: TrainingJob) -> None:
    TrainingJob.objects.update(deaths=MOST_DEATHS - 1, died_at=300)
    job.refresh_from_db()
    trained(job, at_step=(10, kill_trainers))
    assert job.state == JobState.INTERRUPTED
    assert "died 3 times without getting further" in job.error


class TestAJobWhoseWorkerIsGone:
    @pytest.fixture
    def orphan(self, job: TrainingJob) -> TrainingJob:
        TrainingJob.objects.update(state="running", runner=dead_runner(), step=30)
        job.refresh_from_db()
        job.run.mkdir()
        (job.run / "trainer.log").write_text("the last word\n")
        return job

    def test_goes_on_by_itself(self, orphan: TrainingJob) -> None:
        assert deaths.settle() == 1
        orphan.refresh_from_db()
        assert (orphan.state, orphan.deaths, orphan.died_at) == (JobState.QUEUED, 1, 30)
        assert "the last word" in orphan.error
        assert deaths.settle() == 0

    def test_is_interrupted_where_it_is_not_to_go_on(self, orphan: TrainingJob) -> None:
        TrainingJob.objects.update(self_resuming=False)
        deaths.settle()
        orphan.refresh_from_db()
        assert orphan.state == JobState.INTERRUPTED
        assert "the last word" in orphan.error

    def test_keeps_to_what_somebody_had_asked_for(self, orphan: TrainingJob) -> None:
        TrainingJob.objects.update(wish="pause")
        deaths.settle()
        orphan.refresh_from_db()
        assert orphan.state == JobState.PAUSED


def test_a_trainer_waits_for_the_one_that_outlived_its_worker(job: TrainingJob) -> None:
    job.run.mkdir()
    told: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, job.run / FILE], stdin=-1, stdout=-1
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()

        def look(doing: str, fraction: float) -> None:
            told.append(doing)
            other.kill()

        run(job, stops=threading.Event(), on_progress=look)
    assert told[0] == WAITS
    job.refresh_from_db()
    assert job.state == JobState.DONE


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_the_last_word_of_an_earlier_trainer_is_not_taken_for_that_of_one_that_was_killed(
    job: TrainingJob,
) -> None:
    job.run.mkdir()
    EventLog(job.run).tell(Ended(step=7, reason="abandoned"))
    trained(job, at_step=(0, kill_trainers))
    assert (job.state, job.adapter, job.ending) == (JobState.QUEUED, None, "")
    trained(job)
    assert (job.state, job.ending) == (JobState.DONE, "finished")


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


def test_full_training_that_is_stopped_leaves_a_model_and_later_another(
    base: LocalModel, data: Path
) -> None:
    settings = {"method": "full", "iters": 400, "steps_per_report": 1} | WHOLE
    job = services.order(base=base, data=data, name="Whole", settings=settings)
    trained(job, at_step=(2, lambda: services.stop(job=job)))
    assert job.is_stopped
    assert job.result is not None
    kept = job.result
    services.resume(job=job)
    assert (job.result, job.slug) == (None, "whole-2")
    trained(job)
    assert job.result is not None
    assert (job.result.slug, kept.slug) == ("whole-2", "whole")


def test_training_waits_for_other_work_that_holds_a_model(
    job: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "run", lambda *_, **__: pytest.fail("it did not wait"))
    woken: list[bool] = []
    with turn_of_its_own():
        take_turns.call_local()
        monkeypatch.setattr("apps.jobs.tasks.take_turns", lambda: woken.append(True))
        assert woken == []
    assert woken == [True]
