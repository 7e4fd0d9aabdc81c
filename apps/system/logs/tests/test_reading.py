"""Reading the logs of all processes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.system.logs import reading
from apps.system.logs.reading import Search, find

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PAGE = "/system/logs/"


def line(second: int, message: str, *, level: str = "info", **more: str) -> str:
    at = (NOON + timedelta(seconds=second)).isoformat()
    return json.dumps({"time": at, "level": level, "message": message} | more)


@pytest.fixture
def logs(settings: Any, tmp_path: Path) -> Path:
    """Two processes' logs and a run's."""
    settings.HUB = settings.HUB.model_copy(update={"home": tmp_path})
    folder = tmp_path / "logs"
    folder.mkdir()
    web = [line(1, "Web is up"), line(4, "GET /x 500", level="error", request_id="r1")]
    engine = [line(2, "Listening"), line(3, "a request failed", level="error", request_id="r1")]
    (folder / "web.log").write_text("\n".join(web) + "\n")
    (folder / "engine.log").write_text("\n".join(engine) + "\n")
    (tmp_path / "runs" / "7").mkdir(parents=True)
    (tmp_path / "runs" / "7" / "trainer.log").write_text(line(5, "Step 1") + "\nnative words\n")
    return folder


def messages(**search: Any) -> list[str]:
    return [each.message for each in find(Search(**search)).lines]


def test_lines_of_all_processes_come_in_the_order_of_time_the_newest_first(logs: Path) -> None:
    found = find(Search()).lines
    assert [each.process for each in found] == [
        "trainer",
        "trainer",
        "web",
        "engine",
        "engine",
        "web",
    ]
    assert [each.message for each in found][1:] == [
        "Step 1", "GET /x 500", "a request failed", "Listening", "Web is up",
    ]  # fmt: skip


def test_one_request_is_followed_through_the_processes(logs: Path) -> None:
    assert messages(id="r1") == ["GET /x 500", "a request failed"]


def test_a_runs_lines_are_found_by_its_folder(logs: Path) -> None:
    assert messages(id="7") == ["native words", "Step 1"]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({"process": "engine"}, ["a request failed", "Listening"]),
        ({"level": "warning"}, ["GET /x 500", "a request failed"]),
        ({"text": "LISTEN"}, ["Listening"]),
        ({"before": NOON + timedelta(seconds=2)}, ["Web is up"]),
        ({"after": NOON + timedelta(seconds=3), "process": "web"}, ["GET /x 500"]),
        ({"text": "nothing like it"}, []),
    ],
)
def test_a_search_finds_what_fits(logs: Path, search: dict[str, Any], expected: list[str]) -> None:
    assert messages(**search) == expected


def test_rotated_files_are_read_behind_the_current_one(logs: Path) -> None:
    (logs / "worker.log").write_text(line(9, "new") + "\n")
    (logs / "worker.log.1").write_text(line(7, "old") + "\n" + line(8, "newer") + "\n")
    (logs / "worker.log.2").write_text(line(6, "oldest") + "\n")
    assert messages(process="worker") == ["new", "newer", "old", "oldest"]


def test_a_line_longer_than_a_block_is_read_whole(
    logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_BLOCK", 64)
    (logs / "worker.log").write_text(f"{line(1, 'x' * 500)}\n{line(2, 'y' * 500)}\n")
    assert messages(process="worker") == ["y" * 500, "x" * 500]


def test_it_says_whether_there_are_more(logs: Path) -> None:
    found = find(Search(process="web"), at_most=1)
    assert (len(found.lines), found.is_more) == (1, True)
    assert not find(Search(process="web"), at_most=2).is_more


@pytest.mark.django_db
class TestPage:
    def test_shows_lines_as_text_whatever_they_hold(self, client: Client, logs: Path) -> None:
        evil = "<script>alert(1)</script><img src=x onerror=alert(2)>"
        (logs / "worker.log").write_text(line(9, evil, level='"><b>', request_id=evil) + "\n")
        page = client.get(PAGE).content.decode()
        assert "&lt;script&gt;alert(1)" in page
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "<b>" not in page

    def test_its_address_holds_the_search(self, client: Client, logs: Path) -> None:
        page = client.get(PAGE, {"process": "engine", "text": "listen"}).content.decode()
        assert "Listening" in page
        assert "a request failed" not in page

    def test_the_lines_are_renewed_alone(self, client: Client, logs: Path) -> None:
        page = client.get(PAGE, headers={"HX-Request": "true"}).content.decode()
        assert "Listening" in page
        assert "<form" not in page

    def test_a_search_that_makes_no_sense_is_told(self, client: Client, logs: Path) -> None:
        page = client.get(PAGE, {"level": "loud", "before": "yesterday"}).content.decode()
        assert "loud is not one of the available choices" in page
        assert "Enter a valid date/time" in page

    def test_older_lines_are_a_link_away(
        self, client: Client, logs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from apps.system.logs import views

        monkeypatch.setattr(views, "PER_PAGE", 1)
        page = client.get(PAGE, {"process": "web"}).content.decode()
        assert "process=web&amp;before=2026-11-23T12%3A00%3A04" in page
        older = client.get(PAGE, {"process": "web", "before": "2026-11-23T12:00:04+00:00"})
        assert "Web is up" in older.content.decode()
        assert "data-poll" not in older.content.decode().split('id="log"')[1][:200]


@pytest.mark.django_db
class TestOverRest:
    def test_answers_with_the_lines_that_fit(self, client: Client, logs: Path) -> None:
        told = client.get("/api/system/logs", {"id": "r1", "limit": 1}).json()
        assert told["is_more"]
        assert told["lines"][0]["message"] == "GET /x 500"
        assert told["lines"][0]["request_id"] == "r1"

    def test_takes_a_time_without_a_zone(self, client: Client, logs: Path) -> None:
        assert client.get("/api/system/logs", {"before": "2030-01-01T00:00:00"}).status_code == 200

    def test_refuses_what_it_does_not_know(self, client: Client, logs: Path) -> None:
        assert client.get("/api/system/logs", {"level": "loud"}).status_code == 400
