"""Rows and versions over REST, and taking a version away."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from django.test import AsyncClient, Client
from django.urls import reverse

from apps.datasets import exporting
from apps.datasets.errors import BadDataOrder
from apps.datasets.exporting import export
from apps.datasets.models import Dataset, DatasetJob
from apps.datasets.services import order_import
from apps.datasets.tests.conftest import Import, carried_out

PAIRS = [{"prompt": f"What is {i}?", "completion": f"It is {i}."} for i in range(20)]


def call(client: Client, method: str, url: str, body: Any = None) -> Any:
    return getattr(client, method)(url, body, content_type="application/json")


def head() -> Any:
    """The present version, once the last job is done."""
    carried_out(DatasetJob.objects.order_by("-pk")[0])
    return Dataset.objects.get(slug="rows").version(None)


@pytest.fixture
def rows(imported: Import) -> Dataset:
    """Twenty rows, two of them to validate with."""
    imported(PAIRS)
    dataset = Dataset.objects.get()
    from apps.datasets.services import order

    plan = {"valid": 0.1, "test": 0.0, "seed": 0}
    carried_out(order(version=dataset.version(None), kind="split", plan=plan))
    return Dataset.objects.named("rows")


class TestRows:
    def test_one_row_is_read(self, client: Client, imported: Import) -> None:
        imported(PAIRS)
        assert client.get("/api/datasets/rows/rows/3").json()["row"] == PAIRS[3]
        missing = client.get("/api/datasets/rows/rows/20")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "dataset_not_found")

    def test_rows_are_added_replaced_and_removed(self, client: Client, imported: Import) -> None:
        imported(PAIRS)
        new = {"prompt": "Who?", "completion": "Me."}
        assert call(client, "post", "/api/datasets/rows/rows", {"rows": [new]}).status_code == 202
        assert head().files.at(20).value == new
        assert call(client, "put", "/api/datasets/rows/rows/0", {"row": new}).status_code == 202
        assert head().files.at(0).value == new
        assert call(client, "delete", "/api/datasets/rows/rows/0").status_code == 202
        assert head().files.at(0).value == PAIRS[1]

    @pytest.mark.parametrize("body", [{}, {"rows": []}, {"rows": ["x"]}, {"rows": [{}], "x": 1}])
    def test_odd_rows_are_refused(self, client: Client, imported: Import, body: Any) -> None:
        imported(PAIRS)
        assert call(client, "post", "/api/datasets/rows/rows", body).status_code == 400

    def test_a_model_that_is_not_there_has_no_tokens(
        self, client: Client, imported: Import
    ) -> None:
        imported(PAIRS)
        answer = client.get("/api/datasets/rows/rows/0/tokens", {"model": "none"})
        assert answer.status_code == 404, answer.json()


class TestChanges:
    def test_another_dataset_is_merged_into_it(self, client: Client, imported: Import) -> None:
        imported(PAIRS)
        imported(PAIRS[:5], name="more.jsonl")
        order = {"kind": "merge", "other": "more"}
        assert call(client, "post", "/api/datasets/rows/changes", order).status_code == 202
        assert head().rows == 25
        none = {"kind": "merge", "other": "none"}
        assert call(client, "post", "/api/datasets/rows/changes", none).status_code == 404

    def test_jobs_are_listed(self, client: Client, rows: Dataset) -> None:
        listed = client.get("/api/datasets/rows/jobs").json()
        assert [job["kind"] for job in listed["jobs"]] == ["split", "import"]


class TestVersions:
    def test_a_version_tells_what_it_changed(self, client: Client, rows: Dataset) -> None:
        detail = client.get("/api/datasets/rows/versions/3").json()
        assert detail["difference"] == {"added": 0, "removed": 0, "moved": 2}
        assert detail["statistics"]["rows"] == 20

    def test_the_rows_that_differ_are_listed(self, client: Client, imported: Import) -> None:
        imported(PAIRS)
        edited = PAIRS[1] | {"completion": "Another."}
        order = {"kind": "edit", "changed": {"1": edited}, "added": [{"text": "New."}]}
        call(client, "post", "/api/datasets/rows/changes", order)
        assert head().number == 3
        found = client.get("/api/datasets/rows/versions/3/changes").json()
        counts = {"against": 2, "changed": 1, "added": 1, "removed": 0}
        assert {name: found[name] for name in counts} == counts
        (change,) = found["rows"]
        assert change["before"]["row"] == PAIRS[1]
        assert change["after"]["row"] == edited
        back = {"against": "3", "show": "removed", "limit": "1"}
        (gone,) = client.get("/api/datasets/rows/versions/2/changes", back).json()["rows"]
        assert gone["before"]["row"] == {"text": "New."}
        assert gone["after"] is None

    def test_rows_are_not_compared_with_columns(self, client: Client, imported: Import) -> None:
        imported(PAIRS)
        for number, against, status in ((2, "", 400), (1, "", 400), (2, "?against=9", 404)):
            url = f"/api/datasets/rows/versions/{number}/changes{against}"
            assert client.get(url).status_code == status

    def test_going_back_and_forth(self, client: Client, rows: Dataset) -> None:
        for number in (2, 3):
            answer = client.post(f"/api/datasets/rows/versions/{number}/restore")
            assert answer.json()["head"]["number"] == number
        assert client.post("/api/datasets/rows/versions/9/restore").status_code == 404


def unpacked(body: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


class TestTakingAway:
    def test_a_zip_has_the_folder_that_mlx_lm_reads(self, client: Client, rows: Dataset) -> None:
        answer = client.get("/api/datasets/rows/versions/3/export")
        assert answer["Content-Type"] == "application/zip"
        files = unpacked(b"".join(answer.streaming_content))  # type: ignore[arg-type]
        version = rows.version(3)
        assert files == {
            name: (version.folder / name).read_bytes() for name in ("train.jsonl", "valid.jsonl")
        }

    def test_the_zip_comes_back_with_its_splits(
        self, client: Client, rows: Dataset, tmp_path: Path
    ) -> None:
        answer = client.get(reverse("datasets:archive", args=["rows", 3, "jsonl"]))
        path = tmp_path / "again.zip"
        path.write_bytes(b"".join(answer.streaming_content))  # type: ignore[arg-type]
        job = carried_out(order_import(path=path, name="again"))
        again = job.dataset.version(None)
        assert again.digest == rows.version(3).digest

    def test_parquet_and_openai(self, client: Client, rows: Dataset) -> None:
        for name in ("parquet", "openai", "sharegpt"):
            answer = client.get(f"/api/datasets/rows/versions/3/export?format={name}")
            files = unpacked(b"".join(answer.streaming_content))  # type: ignore[arg-type]
            assert len(files) == 2
            if name == "parquet":
                assert pl.read_parquet(files["train.parquet"]).height == 18
            else:
                assert len(files["train.jsonl"].splitlines()) == 18
        assert json.loads(files["train.jsonl"].splitlines()[0])["conversations"]

    async def test_a_real_server_sends_it_piece_by_piece(
        self, transactional_db: None, async_client: AsyncClient, rows: Dataset
    ) -> None:
        url = reverse("datasets:download", args=["rows", 3, "train"])
        answer = await async_client.get(url)
        pieces = [piece async for piece in answer.streaming_content]  # type: ignore[attr-defined]
        assert b"".join(pieces).count(b"\n") == 18

    def test_what_can_not_be_has_a_reason(
        self, client: Client, imported: Import, tmp_path: Path
    ) -> None:
        version = imported([{"text": "Alone."}]).version(None)
        with pytest.raises(BadDataOrder, match="which openai has no shape for"):
            export(version=version, to=tmp_path / "out", format="openai")
        answer = client.get("/api/datasets/rows/versions/2/export?format=sharegpt")
        assert answer.status_code == 400
        page = client.get(reverse("datasets:archive", args=["rows", 2, "openai"]), follow=True)
        assert b"has no shape for" in page.content

    def test_what_takes_long_is_left_to_a_command(
        self, client: Client, rows: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(exporting, "MAX_PARQUET_BYTES", 1)
        answer = client.get("/api/datasets/rows/versions/3/export?format=parquet")
        assert "mlx-hub data export rows --format parquet" in answer.json()["error"]["message"]
        files = export(version=rows.version(3), to=tmp_path / "out", format="parquet")
        assert [file.name for file in files] == ["train.parquet", "valid.parquet"]

    @pytest.mark.parametrize(
        "url", ["versions/3/test.jsonl", "versions/3/exe.zip", "versions/9/jsonl.zip"]
    )
    def test_what_is_not_there_is_a_404(self, client: Client, rows: Dataset, url: str) -> None:
        assert client.get(f"/data/rows/{url}").status_code == 404
