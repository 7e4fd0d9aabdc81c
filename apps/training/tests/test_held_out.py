"""What a job's result comes to on the test rows is measured, kept and shown."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from apps.jobs.models import JobState
from apps.models.models import LocalModel
from apps.training import services
from apps.training.models import Metric, TrainingJob
from apps.training.orders import completed
from apps.training.overlay import results
from apps.training.preflight import examine
from apps.training.provenance import tell_of_training
from apps.training.shown import perplexity_of
from apps.training.tests.jobs import SETTINGS, make_job, trained
from apps.training.tracking.facts import points_of
from apps.training.trainer.events import Started
from apps.training.trainer.tests.runs import rows, write_rows

FOUND = {"step": 400, "loss": 1.5, "rows": 20, "seconds": 2.0, "figures": {}}


@pytest.fixture
def job(tiny: LocalModel) -> TrainingJob:
    facts = Started(
        step=0, parameters=9, trainable=3, rows=10, validation_rows=5, test_rows=20, truncated=0,
        dropped=0, tokens=300,
    ).model_dump()  # fmt: skip
    job = make_job(tiny, state="done", step=400, test=FOUND, facts=facts)
    Metric.objects.create(job=job, name=Metric.Name.TEST, step=400, value=1.5)
    return job


def test_a_job_with_test_rows_measures_its_result(base: LocalModel, data: Path) -> None:
    write_rows(data / "test.jsonl", rows(4, first=90))
    config = completed(base=base, data=data, settings={"iters": 4, "lora": SETTINGS["lora"]})
    assert config.test
    settings = config.model_dump(mode="json", exclude={"model", "data"})
    job = trained(services.order(base=base, data=data, name="Numbers", settings=settings))
    assert job.state == JobState.DONE, job.error
    (metric,) = Metric.objects.series(job, Metric.Name.TEST)
    assert (metric.step, job.test["rows"], job.facts["test_rows"]) == (4, 4, 4)
    assert metric.value == job.test["loss"] > 0


def test_a_job_without_test_rows_has_none_to_measure(base: LocalModel, data: Path) -> None:
    assert not completed(base=base, data=data, settings={}).test
    found = examine(base, completed(base=base, data=data, settings={"test": True}))
    assert [one.safer for one in found.refusals] == [{"test": False}]
    assert "There are no test rows" in found.refusals[0].text


@pytest.mark.django_db
class TestWhatIsShown:
    def test_on_the_jobs_page(self, client: Client, job: TrainingJob) -> None:
        page = client.get(job.get_absolute_url()).content.decode()
        assert "perplexity 4.48, 20 test rows" in page
        assert "5 for validation, 20 for the test" in page

    def test_over_rest(self, client: Client, job: TrainingJob) -> None:
        found = client.get(f"/api/training/jobs/{job.pk}").json()["test"]
        assert found == FOUND | {"perplexity": pytest.approx(math.exp(1.5))}
        curves = client.get(f"/api/training/jobs/{job.pk}/metrics").json()["curves"]
        assert curves["test_loss"]["mean"] == [1.5]

    def test_a_job_that_was_not_measured_says_so(self, client: Client, tiny: LocalModel) -> None:
        job = make_job(tiny)
        assert client.get(f"/api/training/jobs/{job.pk}").json()["test"] is None
        assert "Test loss" not in client.get(job.get_absolute_url()).content.decode()

    def test_of_pairs_there_is_no_perplexity(self, tiny: LocalModel) -> None:
        settings = make_job(tiny).settings | {"objective": "dpo"}
        assert perplexity_of(make_job(tiny, settings=settings, test=FOUND)) is None

    def test_one_that_no_number_holds_is_told_as_none(self, tiny: LocalModel) -> None:
        assert perplexity_of(make_job(tiny, test=FOUND | {"loss": 800.0})) is None

    def test_to_mlflow_beside_other_runs_and_to_who_downloads_it(
        self, job: TrainingJob, tiny: LocalModel
    ) -> None:
        assert ("test_loss", 1.5) in [(name, value) for name, value, *_ in points_of(job, {})]
        assert ("Test loss", ["1.5000"]) in [
            (row.label, list(row.values)) for row in results([job])
        ]
        job.result = tiny
        job.save()
        told = tell_of_training(LocalModel, tiny, None)
        assert told is not None
        assert ("Test loss", "1.5000") in told.figures

    def test_in_the_form_before_it_starts(
        self, client: Client, base: LocalModel, data: Path
    ) -> None:
        write_rows(data / "test.jsonl", rows(4, first=90))
        form = {"model": "base", "folder": str(data), "action": "examine", "test": "false"}
        page = client.post(reverse("training:new"), form).content.decode()
        assert "4 rows" in page
        assert "test: false" in page
