"""Several runs beside each other."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.models.models import Adapter, LocalModel
from apps.training.models import Metric, TrainingJob
from apps.training.overlay import NONE, Row, differing_settings, results
from apps.training.tests.jobs import make_job


@pytest.fixture
def jobs(tiny: LocalModel) -> list[TrainingJob]:
    """Three runs: the second one learnt best, the third one has told nothing yet."""
    made = [make_job(tiny, name=f"Run {number}") for number in range(3)]
    made[1].settings = made[1].settings | {"learning_rate": 0.5, "lora": {"rank": 9}}
    made[1].save()
    for job, losses in zip(made, ([3.0, 2.0], [1.0, 1.5]), strict=False):
        for step, loss in enumerate(losses):
            Metric.objects.create(job=job, name="validation_loss", step=step, value=loss)
    return made


def test_only_settings_that_differ_are_told(jobs: list[TrainingJob]) -> None:
    rows = {row.label: list(row.values) for row in differing_settings(jobs)}
    assert rows["learning_rate"] == ["0.003", "0.5", "0.003"]
    assert rows["lora.rank"] == ["2", "9", "2"]
    assert "batch_size" not in rows
    assert "base" not in rows


def test_the_best_result_is_marked(jobs: list[TrainingJob]) -> None:
    rows = {row.label: row for row in results(jobs)}
    best = rows["Best validation loss"]
    assert (list(best.values), best.best) == (["2.0000", "1.0000", NONE], 1)
    assert "Peak memory" not in rows, "no run told it"
    assert rows["State"].best is None


def test_values_that_look_the_same_are_best_together() -> None:
    row = Row("Peak memory", ["3.4 MB", "3.7 MB", "3.4 MB"], best=2)
    assert [is_best for _, is_best in row.cells] == [True, False, True]
    assert not any(is_best for _, is_best in Row("State", ["done", "done"]).cells)


def test_an_adapter_that_was_gone_on_from_is_told_by_name(
    tiny: LocalModel, jobs: list[TrainingJob]
) -> None:
    start = Adapter.objects.create(base=tiny, slug="first", name="F", path="/p", digest="d")
    for job, adapter in ((jobs[0], start), (jobs[1], None)):
        job.settings = job.settings | {"resume_adapter_file": "/p/adapters.safetensors"}
        job.start_adapter = adapter
    rows = {row.label: list(row.values) for row in differing_settings(jobs)}
    assert rows["resume_adapter_file"] == ["tiny:first", "an adapter that is deleted", NONE]


def test_the_page_shows_the_runs_of_its_address(client: Client, jobs: list[TrainingJob]) -> None:
    first, second, third = (job.pk for job in jobs)
    page = client.get(f"/training/compare/?jobs={first},{second},{third},{third},gone")
    shown = page.content.decode()
    assert f'data-charts="/training/{first}/chart/"' in shown
    assert f'data-chart-url="/training/{second}/chart/" checked' in shown
    chosen = client.get(f"/training/compare/?jobs={first},{second}&chosen=1").content.decode()
    assert f'data-chart-url="/training/{second}/chart/">' in chosen


def test_the_form_leads_to_the_short_address(client: Client, jobs: list[TrainingJob]) -> None:
    first, second, _ = (job.pk for job in jobs)
    answer = client.get(f"/training/compare/?jobs={first}&jobs={second}&jobs=x")
    assert answer["Location"] == f"/training/compare/?jobs={first},{second}"


def test_more_runs_than_colours_are_left_out(client: Client, tiny: LocalModel) -> None:
    keys = ",".join(str(make_job(tiny).pk) for _ in range(6))
    page = client.get(f"/training/compare/?jobs={keys}")
    assert len(page.context["jobs"]) == 5
    assert "Not all of them are shown" in page.content.decode()


def test_without_any_job_there_is_a_way_to_one(client: Client, db: None) -> None:
    assert "There is no run to compare yet" in client.get("/training/compare/").content.decode()
    assert client.get(f"/training/compare/?jobs={'9' * 40}").status_code == 200
