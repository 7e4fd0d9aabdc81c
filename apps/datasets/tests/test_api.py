"""/api/datasets: what it answers, and how it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from django.test import Client

from apps.datasets.formats.checks import DESCRIPTIONS
from apps.datasets.formats.personal import LABELS
from apps.datasets.models import Dataset, DatasetJob
from apps.datasets.schemas import PersonalName, ProblemName
from apps.datasets.tests.conftest import Import, carried_out

PAIRS = [{"prompt": f"What is {i}?", "completion": f"It is {i}."} for i in range(20)]


def post(client: Client, url: str, body: dict[str, Any]) -> Any:
    return client.post(url, body, content_type="application/json")


def test_a_file_is_imported_and_its_rows_are_read(client: Client, db: None, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("question,answer\nWhat?,That.\n")
    answer = post(client, "/api/datasets", {"path": str(tmp_path / "rows.csv")})
    assert answer.status_code == 202
    job = answer.json()
    assert (job["state"], job["dataset"]) == ("queued", "rows")
    carried_out(DatasetJob.objects.get())
    followed = client.get(f"/api/datasets/rows/jobs/{job['id']}").json()
    assert (followed["state"], followed["result"]) == ("done", 2)
    rows = client.get("/api/datasets/rows/rows").json()
    assert rows["total"] == 1
    assert rows["rows"][0]["row"] == {"prompt": "What?", "completion": "That."}


def test_a_dataset_lists_its_versions(client: Client, imported: Import) -> None:
    imported(PAIRS)
    assert client.get("/api/datasets").json()["total"] == 1
    detail = client.get("/api/datasets/rows").json()
    assert [version["kind"] for version in detail["versions"]] == ["completion", "unmapped"]
    assert client.get("/api/datasets/rows/statistics").json()["rows"] == 20


@pytest.mark.parametrize(
    ("order", "change"),
    [
        (
            {"kind": "split", "valid": 0.1},
            "Split at random: 90% for training, 10% for validation (seed 0)",
        ),
        ({"kind": "drop", "rows": [0, 1]}, "Removed 2 rows"),
        ({"kind": "sample", "rows": 5, "seed": 2}, "Sample of 5 training rows (seed 2)"),
        ({"kind": "edit", "changed": {"0": {"text": "x"}}}, "Edited row 1"),
    ],
)
def test_a_change_makes_a_version(
    client: Client, imported: Import, order: dict[str, Any], change: str
) -> None:
    imported(PAIRS)
    assert post(client, "/api/datasets/rows/changes", order).status_code == 202
    carried_out(DatasetJob.objects.order_by("-pk")[0])
    assert Dataset.objects.get().version(None).change == change


@pytest.mark.parametrize(
    "order",
    [
        {"kind": "split", "valid": 0.9, "test": 0.9},
        {"kind": "drop", "problems": ["NOPE"]},
        {"kind": "unknown"},
        {"kind": "sample", "seed": -1},
        {"kind": "map", "target": "text", "roles": {"text": "{nowhere}"}},
    ],
)
def test_a_wrong_order_is_refused(client: Client, imported: Import, order: dict[str, Any]) -> None:
    imported(PAIRS)
    url = "/api/datasets/rows/changes?version=1"
    answer = post(client, url, order)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_what_is_not_there_is_a_404(client: Client, imported: Import) -> None:
    imported(PAIRS)
    for url in (
        "/api/datasets/no",
        "/api/datasets/rows/rows?version=9",
        "/api/datasets/rows/jobs/0",
    ):
        answer = client.get(url)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "dataset_not_found"


def test_a_second_change_waits_its_turn(client: Client, imported: Import) -> None:
    imported(PAIRS)
    post(client, "/api/datasets/rows/changes", {"kind": "drop", "rows": [0]})
    answer = post(client, "/api/datasets/rows/changes", {"kind": "drop", "rows": [1]})
    assert answer.status_code == 409
    job = DatasetJob.objects.order_by("-pk")[0]
    assert client.post(f"/api/datasets/rows/jobs/{job.pk}/cancel").json()["state"] == "cancelled"


def test_a_dataset_is_deleted(client: Client, imported: Import) -> None:
    imported(PAIRS)
    assert client.delete("/api/datasets/rows").status_code == 204
    assert not Dataset.objects.exists()


def test_the_names_of_the_api_are_those_of_the_checks() -> None:
    assert get_args(ProblemName) == tuple(bit.name for bit in DESCRIPTIONS)
    assert get_args(PersonalName) == tuple(bit.name for bit in LABELS)
