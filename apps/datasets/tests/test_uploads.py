"""Files that come in pieces, from a page and from a program."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from apps.datasets import uploads
from apps.datasets.models import Dataset, DatasetJob
from apps.datasets.tests.conftest import carried_out

BODY = b'{"prompt": "What is a reef?", "completion": "Rock under water."}\n' * 40
PATIENCE = 30.0

Send = Callable[[int, bytes], dict[str, Any]]


def by_page() -> Send:
    """A function that sends a piece as the import page does."""
    begun = Client().post("/data/import/uploads/", {"name": "rows.jsonl", "size": len(BODY)})
    url = begun.json()["url"]

    def send(offset: int, piece: bytes) -> dict[str, Any]:
        answer = Client().post(f"{url}?offset={offset}", piece, "application/octet-stream")
        return dict(answer.json())

    return send


def by_rest() -> Send:
    """A function that sends a piece as a program does."""
    order = {"file": "rows.jsonl", "size": len(BODY)}
    begun = Client().post("/api/uploads", order, "application/json").json()
    url = f"/api/uploads/{begun['token']}"

    def send(offset: int, piece: bytes) -> dict[str, Any]:
        answer = Client().put(f"{url}?offset={offset}", piece, "application/octet-stream")
        return dict(answer.json())

    return send


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", [by_page, by_rest])
def test_a_last_piece_sent_twice_at_the_same_instant_orders_one_import(
    way: Callable[[], Send], monkeypatch: pytest.MonkeyPatch
) -> None:
    send = way()
    send(0, BODY[:1000])
    together = threading.Barrier(2)
    order_import = uploads.order_import

    def at_once(**options: Any) -> DatasetJob:
        # Each has seen that there is no import yet, and that the file is whole.
        together.wait(PATIENCE)
        return order_import(**options)

    monkeypatch.setattr(uploads, "order_import", at_once)
    answers: list[dict[str, Any]] = []

    def finish() -> None:
        try:
            answers.append(send(1000, BODY[1000:]))
        finally:
            connection.close()

    threads = [threading.Thread(target=finish) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers[0] == answers[1]
    assert answers[0]["received"] == len(BODY)
    assert DatasetJob.objects.count() == Dataset.objects.count() == 1
    assert carried_out(DatasetJob.objects.get()).error == ""
    assert Dataset.objects.get().version(None).rows == 40


@pytest.mark.django_db
class TestOverRest:
    def test_pieces_become_a_dataset_of_the_wanted_name(self) -> None:
        order = {"file": "rows.jsonl", "size": len(BODY)}
        begun = Client().post("/api/uploads", order, "application/json")
        assert begun.status_code == 201
        url = f"/api/uploads/{begun.json()['token']}"

        def put(offset: int, piece: bytes) -> dict[str, Any]:
            answer = Client().put(
                f"{url}?offset={offset}&name=My+reefs", piece, "application/octet-stream"
            )
            assert answer.status_code == 200, answer.content
            return dict(answer.json())

        assert put(0, BODY[:64]) == {"received": 64, "job": None}
        assert put(0, BODY[:64]) == {"received": 64, "job": None}
        assert put(64, BODY[64:])["job"]["dataset"] == "my-reefs"
        assert put(64, BODY[64:])["job"]["id"] == DatasetJob.objects.get().pk

    @pytest.mark.parametrize(
        ("file", "why"), [("model.gguf", "not read here"), ("rows.exe", "not read here")]
    )
    def test_a_file_of_another_kind_is_refused(self, file: str, why: str) -> None:
        refused = Client().post("/api/uploads", {"file": file, "size": 9}, "application/json")
        assert refused.status_code == 400
        assert why in refused.json()["error"]["message"]

    def test_a_token_that_the_hub_did_not_give_is_refused(self) -> None:
        refused = Client().put("/api/uploads/made-up?offset=0", b"{}", "application/octet-stream")
        assert refused.status_code == 404
        assert "too old" in refused.json()["error"]["message"]

    def test_more_than_was_announced_is_refused_and_nothing_stays(self, data_dir: Path) -> None:
        send = by_rest()
        assert "changed" in send(0, BODY + b"{}\n")["error"]["message"]
        assert list((data_dir / "uploads").glob("data-*")) == []
