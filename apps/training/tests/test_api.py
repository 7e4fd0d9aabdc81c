"""Training over REST."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.models.models import LocalModel
from apps.training.models import Metric, TrainingJob
from apps.training.tests.jobs import make_job
from apps.training.tests.test_series import write

URL = "/api/training/jobs"


def post(client: Client, path: str, body: dict[str, Any] | None = None) -> Any:
    return client.post(path, body or {}, content_type="application/json")


def order(client: Client, folder: Path, **changes: Any) -> Any:
    return post(client, URL, {"model": "base", "data": str(folder), "name": "Numbers"} | changes)


class TestOrder:
    def test_chooses_what_is_left_out(
        self, client: Client, base: LocalModel, data: Path, queued: list[int]
    ) -> None:
        response = order(client, data, settings={"iters": 40, "lora": {"rank": 4}})
        assert response.status_code == 202, response.content
        ordered = response.json()
        assert (ordered["state"], ordered["steps"], ordered["model"]) == ("queued", 40, "base")
        assert ordered["settings"]["lora"]["rank"] == 4
        assert ordered["settings"]["num_layers"] == 2
        assert ordered["settings"]["steps_per_eval"] == 4
        assert queued == [ordered["id"]]

    def test_takes_mlx_lms_yaml(
        self, client: Client, base: LocalModel, data: Path, queued: list[int]
    ) -> None:
        config = "model: other\niters: 30\nfine_tune_type: dora\nlora_parameters: {rank: 2}\n"
        ordered = order(client, data, config=config, settings={"iters": 20}).json()
        assert ordered["settings"]["method"] == "dora"
        assert ordered["steps"] == 20

    @pytest.mark.parametrize(
        ("changes", "status", "told"),
        [
            ({"model": "gone"}, 404, "not on this hub"),
            ({"data": "/nowhere"}, 400, "no train.jsonl"),
            ({"name": "…"}, 400, "letters or digits"),
            ({"settings": {"learning_rate": -1}}, 400, "learning_rate"),
            ({"settings": {"iters": "many"}}, 400, "iters"),
            ({"settings": {"num_layers": 9}}, 400, "has 2 layers"),
            ({"settings": {"wings": 2}}, 400, "wings"),
            ({"config": "a: ["}, 400, "no YAML"),
            ({"extra": 1}, 400, "extra"),
        ],
    )
    def test_refuses_what_can_not_work(
        self,
        client: Client,
        base: LocalModel,
        data: Path,
        changes: dict[str, Any],
        status: int,
        told: str,
    ) -> None:
        response = order(client, data, **changes)
        assert response.status_code == status, response.content
        assert told in response.content.decode()
        assert not TrainingJob.objects.exists()

    def test_refuses_a_name_that_is_taken(
        self, client: Client, base: LocalModel, data: Path, queued: list[int]
    ) -> None:
        assert order(client, data).status_code == 202
        assert "is called 'numbers'" in order(client, data).json()["error"]["message"]

    def test_refuses_data_without_rows(self, client: Client, base: LocalModel, data: Path) -> None:
        (data / "train.jsonl").write_text("\n")
        assert "has no rows" in order(client, data).json()["error"]["message"]

    def test_names_the_line_of_a_bad_row(
        self, client: Client, base: LocalModel, data: Path
    ) -> None:
        (data / "train.jsonl").write_text('{"text": "a"}\n{"txt": "b"}\n')
        assert "Line 2 of train.jsonl" in order(client, data).json()["error"]["message"]


def test_preflight_queues_nothing(client: Client, base: LocalModel, data: Path) -> None:
    body = {"model": "base", "data": str(data), "name": "x", "settings": {"max_seq_length": 16}}
    found = post(client, "/api/training/preflight", body).json()
    assert (found["rows"], found["validation_rows"]) == (10, 5)
    assert found["truncated"] == 1.0
    assert found["verdict"] == "fits"
    assert "longer than 16 tokens" in str(found["findings"])
    assert "fine_tune_type: lora" in found["config"]
    assert not TrainingJob.objects.exists()


class TestJobs:
    def test_are_listed_the_newest_first(self, client: Client, tiny: LocalModel) -> None:
        keys = [make_job(tiny).pk for _ in range(3)]
        page = client.get(URL, {"limit": 2}).json()
        assert [each["id"] for each in page["jobs"]] == [keys[2], keys[1]]
        assert page["total"] == 3

    def test_are_stopped_cancelled_and_resumed(
        self, client: Client, tiny: LocalModel, queued: list[int]
    ) -> None:
        job = make_job(tiny)
        assert post(client, f"{URL}/{job.pk}/stop").json()["state"] == "paused"
        assert post(client, f"{URL}/{job.pk}/resume").json()["state"] == "queued"
        assert post(client, f"{URL}/{job.pk}/cancel").json()["state"] == "cancelled"

    def test_are_deleted_once_they_stand_still(self, client: Client, tiny: LocalModel) -> None:
        job = make_job(tiny, state="running")
        response = client.delete(f"{URL}/{job.pk}")
        assert (response.status_code, response.json()["error"]["code"]) == (409, "training_active")
        TrainingJob.objects.update(state="done")
        assert client.delete(f"{URL}/{job.pk}").status_code == 204
        assert not TrainingJob.objects.exists()

    def test_are_tried_again_with_safer_settings(
        self, client: Client, base: LocalModel, data: Path, queued: list[int]
    ) -> None:
        job = make_job(base, data=str(data), state="failed", fault="loss_not_finite")
        again = post(client, f"{URL}/{job.pk}/retry").json()
        assert again["name"] == "Numbers 2"
        assert again["settings"]["learning_rate"] == 0.0015
        assert again["settings"]["max_grad_norm"] == 1.0

    def test_that_failed_for_their_data_are_not_tried_again(
        self, client: Client, tiny: LocalModel
    ) -> None:
        job = make_job(tiny, state="failed", fault="bad_data")
        assert post(client, f"{URL}/{job.pk}/retry").status_code == 400

    @pytest.mark.parametrize(
        ("method", "path"),
        [("get", ""), ("post", "/stop"), ("post", "/retry"), ("delete", ""), ("get", "/metrics")],
    )
    def test_that_are_unknown_are_not_found(
        self, client: Client, db: None, method: str, path: str
    ) -> None:
        response = getattr(client, method)(f"{URL}/4711{path}")
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "training_not_found"


def test_curves_are_thinned(client: Client, tiny: LocalModel) -> None:
    job = make_job(tiny)
    write(job, dict.fromkeys(range(1, 2001), 1.0) | {777: 8.0})
    curves = client.get(f"{URL}/{job.pk}/metrics", {"points": 50}).json()["curves"]
    assert list(curves) == [Metric.Name.LOSS]
    assert len(curves["loss"]["step"]) <= 51
    assert max(curves["loss"]["high"]) == 8.0


class TestTail:
    @pytest.fixture
    def job(self, tiny: LocalModel) -> TrainingJob:
        job = make_job(tiny)
        job.run.mkdir()
        return job

    def test_gives_whole_lines_and_goes_on_behind_them(
        self, client: Client, job: TrainingJob
    ) -> None:
        log = job.run / "trainer.log"
        log.write_text("one\ntwo\nthr")
        found = client.get(f"{URL}/{job.pk}/tail/log").json()
        assert found == {"text": "one\ntwo\n", "next": 8}
        log.write_text("one\ntwo\nthree\n")
        found = client.get(f"{URL}/{job.pk}/tail/log", {"after": 8}).json()
        assert found == {"text": "three\n", "next": 14}

    def test_of_a_long_file_begins_at_a_line(self, client: Client, job: TrainingJob) -> None:
        (job.run / "events.jsonl").write_text("x" * 70_000 + "\n{}\n{}\n")
        assert client.get(f"{URL}/{job.pk}/tail/events").json()["text"] == "{}\n{}\n"

    def test_is_empty_before_the_run_begins(self, client: Client, job: TrainingJob) -> None:
        assert client.get(f"{URL}/{job.pk}/tail/log").json() == {"text": "", "next": 0}
