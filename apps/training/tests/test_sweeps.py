"""Several runs from one order: what they are, how they compare, and what is done to all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.models.models import LocalModel
from apps.training.errors import BadOrder
from apps.training.models import Metric, Sweep, TrainingJob
from apps.training.sources import Source
from apps.training.sweeps import SweepOrder, combinations, order_sweep, words
from apps.training.tests.test_series import write

pytestmark = pytest.mark.django_db


def order(base: LocalModel, data: Path, **settings: Any) -> SweepOrder:
    return SweepOrder(base=base, source=Source(data), name="Try", settings=settings)


def test_every_combination_is_a_run(base: LocalModel, data: Path, queued: list[int]) -> None:
    grid = {"learning_rate": [1e-3, 1e-4], "lora.rank": [2.0, 4.0]}
    sweep = order_sweep(order=order(base, data, iters=12, lora={"scale": 4}), grid=grid)
    jobs = list(sweep.trainings.order_by("pk"))
    assert [job.name for job in jobs] == ["Try 1", "Try 2", "Try 3", "Try 4"]
    found = [(job.config.learning_rate, job.config.lora.rank) for job in jobs]
    assert found == [(1e-3, 2), (1e-3, 4), (1e-4, 2), (1e-4, 4)]
    assert {(job.steps, job.config.lora.scale) for job in jobs} == {(12, 4.0)}
    assert set(queued) == {job.pk for job in jobs}


def test_epochs_are_turned_into_steps(base: LocalModel, data: Path, queued: list[int]) -> None:
    sweep = order_sweep(order=order(base, data, batch_size=5), grid={"epochs": [1.0, 3.0]})
    assert [job.steps for job in sweep.trainings.order_by("pk")] == [2, 6]


def test_a_sweep_is_queued_whole_or_not_at_all(base: LocalModel, data: Path) -> None:
    with pytest.raises(BadOrder, match=r"With layers 9: .* has 2 layers"):
        order_sweep(order=order(base, data), grid={"num_layers": [1.0, 9.0]})
    assert not TrainingJob.objects.exists()
    assert not Sweep.objects.exists()


@pytest.mark.parametrize(
    ("grid", "told"),
    [
        ({}, "nothing to try"),
        ({"seed": []}, "nothing to try"),
        ({"seed": list(range(7)), "num_layers": [1, 2, 3]}, "21 runs, and at most 20"),
        ({"wings": [1, 2]}, "wings can't be tried"),
        ({"iters": [1], "epochs": [1]}, "say the same thing"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(grid: dict[str, list[float]], told: str) -> None:
    with pytest.raises(BadOrder, match=told):
        combinations(grid)


def test_values_are_told_in_words() -> None:
    assert words({"learning_rate": 1e-4, "lora.rank": 8.0}) == "learning rate 0.0001, rank 8"


class TestThePages:
    @pytest.fixture
    def sweep(self, client: Client, base: LocalModel, data: Path, queued: list[int]) -> Sweep:
        body = {"model": "base", "folder": str(data), "name": "Try", "action": "order"}
        body |= {"sweep-learning_rate": "1e-3, 1e-4", "iters": "12", "self_resuming": "on"}
        response = client.post(reverse("training:new"), body)
        sweep = Sweep.objects.get()
        assert response["Location"] == sweep.get_absolute_url()
        return sweep

    def test_order_a_sweep_and_show_the_best(self, client: Client, sweep: Sweep) -> None:
        good, bad = sweep.trainings.order_by("pk")
        write(good, {10: 1.25, 12: 1.5}, Metric.Name.VALIDATION)
        write(bad, {12: 2.5}, Metric.Name.VALIDATION)
        page = client.get(sweep.get_absolute_url()).content.decode()
        assert page.count("Best<") == 1
        assert page.index("Best<") < page.index("1.250") < page.index("2.500")
        assert f"compare/?jobs={good.pk},{bad.pk}" in page
        told = client.get(f"/api/training/sweeps/{sweep.pk}").json()
        assert told["best"] == good.pk
        assert told["jobs"][1]["values"] == {"learning_rate": "0.0001"}

    def test_pause_resume_and_cancel_all(self, client: Client, sweep: Sweep) -> None:
        for action, state in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")):
            client.post(reverse(f"training:sweep_{action}", args=[sweep.pk]))
            assert set(sweep.trainings.values_list("state", flat=True)) == {state}

    @pytest.mark.parametrize("action", ["pause", "resume", "cancel"])
    def test_do_the_same_over_rest(self, client: Client, sweep: Sweep, action: str) -> None:
        told = client.post(f"/api/training/sweeps/{sweep.pk}/{action}").json()
        assert len(told["jobs"]) == 2
        assert client.post(f"/api/training/sweeps/4711/{action}").status_code == 404

    @pytest.mark.parametrize(
        ("value", "told"),
        [
            ("many", "is no list of numbers"),
            ("1,2,nan", "has to be a number"),
            ("0", "learning_rate"),
        ],
    )
    def test_refuse_values_that_are_none_and_keep_what_was_typed(
        self, client: Client, base: LocalModel, data: Path, value: str, told: str
    ) -> None:
        body = {"model": "base", "folder": str(data), "name": "Try", "action": "order"}
        response = client.post(
            reverse("training:new"), body | {"sweep-learning_rate": value, "iters": "9"}
        )
        page = response.content.decode()
        assert response.status_code == 422
        assert told in page
        assert f'value="{value}"' in page
        assert 'name="iters" value="9"' in page


def test_a_sweep_is_ordered_over_rest(
    client: Client, base: LocalModel, data: Path, queued: list[int]
) -> None:
    body = {"model": "base", "data": str(data), "name": "Try", "grid": {"seed": [1, 2, 3]}}
    response = client.post("/api/training/sweeps", body, content_type="application/json")
    assert response.status_code == 202, response.content
    assert [job["values"] for job in response.json()["jobs"]] == [
        {"seed": "1"}, {"seed": "2"}, {"seed": "3"}
    ]  # fmt: skip
    body["grid"] = {"num_layers": [9]}
    refused = client.post("/api/training/sweeps", body, content_type="application/json")
    assert refused.status_code == 400
    assert "With layers 9" in refused.json()["error"]["message"]
