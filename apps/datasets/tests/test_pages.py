"""The Data pages, over HTTP and without a browser."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.datasets import services
from apps.datasets.models import Dataset, DatasetJob
from apps.datasets.tests.conftest import Import, carried_out

PAIRS = [{"prompt": f"What is {i} and {i}?", "completion": f"It is {2 * i}."} for i in range(120)]
HTMX = {"HX-Request": "true"}


def latest() -> DatasetJob:
    return DatasetJob.objects.order_by("-pk")[0]


def test_without_data_the_list_says_what_to_do(client: Client, db: None) -> None:
    assert "mlx-hub data import" in client.get("/data/").content.decode()


def test_a_path_is_imported(client: Client, db: None, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(PAIRS[0]))
    answer = client.post("/data/import/start/", {"path": str(tmp_path / "rows.jsonl")})
    assert answer.headers["location"] == "/data/rows/"
    assert "Waits for the worker" in client.get("/data/rows/").content.decode()
    carried_out(latest())
    assert "What is 0 and 0?" in client.get("/data/rows/").content.decode()


@pytest.mark.parametrize("path", ["relative.jsonl", "/nowhere/rows.jsonl", "~nobody/rows.jsonl"])
def test_a_bad_path_comes_back_with_its_error(client: Client, db: None, path: str) -> None:
    answer = client.post("/data/import/start/", {"path": path})
    assert "field__error" in answer.content.decode()
    assert not Dataset.objects.exists()


def test_pasted_rows_are_imported(client: Client, db: None) -> None:
    form = {"text": "a,b\n1,2\n", "format": ".csv", "paste_name": "Table"}
    assert client.post("/data/import/paste/", form).headers["location"] == "/data/table/"
    carried_out(latest())
    assert "Map the columns" in client.get("/data/table/").content.decode()


def test_an_upload_goes_piece_by_piece_and_on_where_it_was(client: Client, db: None) -> None:
    body = "".join(json.dumps(row) + "\n" for row in PAIRS).encode()
    order = client.post("/data/import/uploads/", {"name": "../../My rows.jsonl", "size": len(body)})
    url = order.json()["url"]

    def send(offset: int, piece: bytes) -> Any:
        return client.post(f"{url}?offset={offset}", piece, "application/octet-stream").json()

    assert send(0, body[:100]) == {"received": 100}
    assert send(0, body[:100]) == {"received": 100}
    assert send(100, body[100:])["done"] == "/data/my-rows/"
    assert carried_out(latest()).error == ""
    assert Dataset.objects.get().version(2).rows == 120


def test_an_upload_begins_while_another_one_goes(
    client: Client, db: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import that ends removes its file, at any moment of another request."""
    ended = Path(settings.HUB.uploads_dir) / "data-ended"
    ended.mkdir(parents=True)

    def reading(read: Any, path: Any) -> Any:
        if str(path) == str(ended) and ended.exists():
            ended.rmdir()
        return read(path)

    for name in ("listdir", "scandir"):
        monkeypatch.setattr(os, name, partial(reading, getattr(os, name)))
    answer = client.post("/data/import/uploads/", {"name": "rows.jsonl", "size": 10})
    assert "url" in answer.json()
    assert not ended.exists()


def test_an_upload_of_another_kind_of_file_is_refused_at_once(client: Client, db: None) -> None:
    answer = client.post("/data/import/uploads/", {"name": "model.gguf", "size": 10})
    assert "not read here" in answer.json()["error"]


def test_rows_come_in_pages(client: Client, imported: Import) -> None:
    imported(PAIRS)
    page = client.get("/data/rows/?page=3").content.decode()
    assert "What is 119 and" in page
    assert "What is 99 and" not in page
    assert "Page 3 of 3" in page


def test_a_search_finds_words_whatever_their_case(client: Client, imported: Import) -> None:
    imported(PAIRS)
    page = client.get("/data/rows/?q=IS+77+AND", headers=HTMX | {"HX-Target": "rows"})
    text = page.content.decode()
    assert "1 row with" in text
    assert "What is 77 and" in text
    assert "<html" not in text


def test_the_filter_of_a_problem_shows_its_rows(client: Client, imported: Import) -> None:
    imported([*PAIRS, {"prompt": "", "completion": "Lost."}])
    page = client.get("/data/rows/").content.decode()
    assert 'problem=EMPTY">Empty' in page.replace(
        ' title="A prompt, an answer or a text is empty."', ""
    )
    page = client.get("/data/rows/?problem=EMPTY").content.decode()
    assert "1 row</p>" in page
    assert "Lost." in page


def test_nonsense_in_the_address_shows_all_rows(client: Client, imported: Import) -> None:
    imported(PAIRS)
    query = "page=x&problem=NOPE&personal=1&split=all&sort=DROP&from=-1"
    assert "120 rows" in client.get(f"/data/rows/?{query}").content.decode()
    assert client.get("/data/rows/?v=99").status_code == 404
    assert client.get("/data/nothing/").status_code == 404


def test_markup_in_rows_is_text(client: Client, imported: Import) -> None:
    imported([{"text": "<script>alert(1)</script>", "more": 1}])
    for url in ("/data/rows/", "/data/rows/map/", "/data/rows/rows/0/"):
        page = client.get(url).content.decode()
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


def test_a_mapping_is_previewed_and_then_ordered(client: Client, imported: Import) -> None:
    imported("frage,antwort\nWas?,Das.\n", "faq.csv")
    form = {
        "target": "chat",
        "column-0": "user",
        "column-1": "assistant",
        "template-system": "Be brief.",
    }
    preview = client.get("/data/faq/map/", form, headers=HTMX).content.decode()
    assert "Be brief." in preview
    assert "Das." in preview
    assert client.post("/data/faq/map/", form).headers["location"] == "/data/faq/"
    version = carried_out(latest()).result
    assert version is not None
    assert [message["role"] for message in version.files.at(0).value["messages"]] == [
        "system",
        "user",
        "assistant",
    ]


def test_a_mapping_without_an_answer_says_so(client: Client, imported: Import) -> None:
    imported("a,b\n1,2\n", "table.csv")
    answer = client.post("/data/table/map/", {"target": "chat", "column-0": "user"})
    assert "Nothing is mapped to assistant" in answer.content.decode()


def test_a_split_is_ordered_and_shown(client: Client, imported: Import) -> None:
    imported(PAIRS)
    client.post("/data/rows/change/split/", {"valid": 10, "test": 5, "seed": 1})
    assert carried_out(latest()).error == ""
    page = client.get("/data/rows/versions/").content.decode()
    assert "Split at random: 85% for training, 10% for validation, 5% for test (seed 1)" in page
    assert "18 moved" in page


def test_what_is_not_possible_is_told_on_the_page(client: Client, imported: Import) -> None:
    imported(PAIRS)
    answer = client.post(
        "/data/rows/change/split/", {"valid": 90, "test": 90, "seed": 1}, follow=True
    )
    assert "Ensure this value" in answer.content.decode()
    answer = client.post("/data/rows/change/drop/", {}, follow=True)
    assert "Choose at least one kind" in answer.content.decode()


def test_a_row_is_edited_as_json(client: Client, imported: Import) -> None:
    imported(PAIRS)
    bad = client.post("/data/rows/rows/3/", {"row": "{"})
    assert "not valid JSON" in bad.content.decode()
    client.post("/data/rows/rows/3/", {"row": '{"prompt": "New?", "completion": "Yes."}'})
    version = carried_out(latest()).result
    assert version is not None
    assert version.files.at(3).value["prompt"] == "New?"
    assert "New?" in client.get("/data/rows/rows/3/").content.decode()
    assert client.get("/data/rows/rows/999/").status_code == 404


def test_an_earlier_version_comes_back(client: Client, imported: Import) -> None:
    dataset = imported(PAIRS)
    client.post("/data/rows/rows/0/delete/")
    carried_out(latest())
    client.post("/data/rows/versions/2/restore/")
    dataset.refresh_from_db()
    assert dataset.head == dataset.version(2)


def test_the_page_reloads_once_its_job_is_over(client: Client, imported: Import) -> None:
    dataset = imported(PAIRS)
    job = services.order(version=dataset.version(2), kind="near", plan={})
    assert "Near" in client.get("/data/rows/jobs/", headers=HTMX).content.decode().title()
    carried_out(job)
    assert client.get("/data/rows/jobs/", headers=HTMX).headers["HX-Refresh"] == "true"


def test_a_job_is_cancelled_and_the_version_stays(client: Client, imported: Import) -> None:
    dataset = imported(PAIRS)
    job = services.order(version=dataset.version(2), kind="near", plan={})
    client.post(f"/data/rows/jobs/{job.pk}/cancel/")
    job.refresh_from_db()
    assert job.state == "cancelled"


def test_a_split_is_downloaded_as_it_is_on_the_disk(client: Client, imported: Import) -> None:
    version = imported(PAIRS).version(2)
    answer = client.get("/data/rows/versions/2/train.jsonl")
    assert b"".join(answer) == (version.folder / "train.jsonl").read_bytes()  # type: ignore[call-overload]
    assert client.get("/data/rows/versions/2/valid.jsonl").status_code == 404
    assert client.get("/data/rows/versions/2/index.jsonl").status_code == 404


def test_a_dataset_is_deleted_with_its_files(client: Client, imported: Import) -> None:
    folder = imported(PAIRS).version(2).folder
    client.post("/data/rows/delete/")
    assert not Dataset.objects.exists()
    assert not folder.exists()
