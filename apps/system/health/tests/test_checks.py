"""What counts as healthy, and what is said where something is not."""

from __future__ import annotations

import shutil
import sqlite3
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.db import DatabaseError
from django.test import Client
from huey import MemoryHuey

from apps.discovery.errors import HubUnreachable
from apps.inference import heartbeat
from apps.models.starter import STARTER_SLUG, note_failure
from apps.system.health import Report, run_checks
from apps.system.health.checks import disk, hub, memory, starter, worker
from apps.system.health.models import Beat, BeatQuerySet
from tests.fake_engine import FakeEngine
from tests.registry import make_model

URL = "/admin/health"
GIB = 1024**3


@pytest.fixture(autouse=True)
def quiet(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryHuey]:
    """A task queue of this test's own, and a hub that answers."""
    own = MemoryHuey()
    monkeypatch.setattr(heartbeat, "HUEY", own)
    monkeypatch.setattr(hub, "reach", lambda access: None)
    # What another test learnt of its hub is kept for a minute.
    caches["hub"].delete(hub.KEY)
    yield own
    caches["hub"].delete(hub.KEY)


@pytest.fixture
def well(fake_engine: FakeEngine, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every part works, on whatever machine the tests run."""
    monkeypatch.setattr(disk, "FEW_BYTES", 0)
    monkeypatch.setattr(disk, "NO_BYTES", 0)
    monkeypatch.setattr(memory, "FEW", 0.0)
    settings.HUB = settings.HUB.model_copy(update={"starter": False})
    heartbeat.beat()


def states(report: Report) -> dict[str, str]:
    return {each.name: each.state for each in report.checks}


def test_a_hub_with_all_its_parts_is_ok(well: None) -> None:
    report = run_checks()
    assert {name: state for name, state in states(report).items() if state != "ok"} == {}
    assert report.state == "ok"
    assert all(each.latency_ms >= 0 for each in report.checks)
    assert all(each.finding.remedy == "" for each in report.checks)


def test_the_database_is_checked_by_a_write(well: None) -> None:
    run_checks()
    run_checks()
    (beat,) = Beat.objects.fresh()
    assert beat.process == "command"
    assert beat.memory_bytes > 0


class TestOverHttp:
    def test_answers_with_every_part_and_the_engines_figures(
        self, client: Client, well: None
    ) -> None:
        response = client.get(URL)
        assert response.status_code == 200
        body = response.json()
        assert body["status"] == "ok"
        assert {part["status"] for part in body["components"].values()} == {"ok"}
        assert body["components"]["engine"]["state"]["accelerator"]["blas"] == "openblas"

    def test_leads_a_browser_to_the_page(self, client: Client, well: None) -> None:
        response = client.get(URL, headers={"Accept": "text/html"})
        assert response.headers["Location"] == "/system/health/"
        page = client.get("/system/health/").content.decode()
        assert "Task queue" in page
        assert page.count("OK") >= 9

    def test_is_503_without_an_engine(self, client: Client, fake_engine: FakeEngine) -> None:
        fake_engine.stop()
        response = client.get(URL)
        assert response.status_code == 503
        engine = response.json()["components"]["engine"]
        assert engine["status"] == "down"
        assert engine["state"] is None
        assert "mlx-hub up" in engine["remedy"]


class TestDatabase:
    def test_that_takes_no_write_is_down_and_says_no_more(
        self, client: Client, well: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise DatabaseError("secret")

        monkeypatch.setattr(BeatQuerySet, "beat", refuse)
        response = client.get(URL)
        assert response.status_code == 503
        assert response.json()["components"]["database"]["status"] == "down"
        assert b"secret" not in response.content
        assert "has room" in client.get("/system/health/").content.decode()


class TestWorker:
    def test_that_never_beat_leaves_the_hub_degraded(self, well: None, quiet: MemoryHuey) -> None:
        quiet.get(heartbeat.KEY)
        report = run_checks()
        assert (report.named("worker").state, report.state) == ("down", "degraded")
        assert "mlx-hub up" in report.named("worker").finding.remedy

    def test_that_stopped_beating_is_gone(
        self, well: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(worker, "MISSED_BEATS", -1)
        assert "last seen" in run_checks().named("worker").finding.detail

    def test_is_not_known_where_the_queue_does_not_answer(
        self, well: None, quiet: MemoryHuey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise sqlite3.OperationalError("secret")

        monkeypatch.setattr(quiet, "get", refuse)
        monkeypatch.setattr(quiet, "pending_count", refuse)
        report = run_checks()
        assert (report.named("queue").state, report.named("worker").state) == ("down", "down")
        assert "secret" not in report.named("queue").finding.detail


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"active": 0, "last_step_age": 9999.0}, "ok"),
        ({"active": 2, "last_step_age": 1.0}, "ok"),
        ({"active": 2, "last_step_age": None}, "ok"),
        ({"active": 2, "last_step_age": 9999.0}, "down"),
        ({"queued": 2, "last_step_age": 9999.0}, "down"),
        ({"loop_age": 9999.0}, "down"),
        ({"loop_age": 200.0, "loading": "tiny"}, "ok"),
        ({"loop_age": 9999.0, "loading": "tiny"}, "down"),
        ({"queued": 1, "last_step_age": 9999.0, "loading": "tiny"}, "ok"),
    ],
)
def test_an_engine_is_judged_by_its_steps(
    well: None, fake_engine: FakeEngine, status: dict[str, Any], expected: str
) -> None:
    fake_engine.status = status
    assert run_checks().named("engine").state == expected


Disk = namedtuple("Disk", "total used free")


@pytest.mark.parametrize(
    ("free", "expected"), [(100 * GIB, "ok"), (2 * GIB, "degraded"), (GIB // 10, "down")]
)
def test_a_disk_is_judged_by_what_is_free(
    monkeypatch: pytest.MonkeyPatch, free: int, expected: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Disk(200 * GIB, 0, free))
    found = disk.check()
    assert found.state == expected
    assert ("Disk page" in found.remedy) is (expected != "ok")


Memory = namedtuple("Memory", "total available")


@pytest.mark.parametrize(("available", "expected"), [(8, "ok"), (0.1, "degraded")])
def test_memory_is_judged_by_what_is_available(
    monkeypatch: pytest.MonkeyPatch, available: float, expected: str
) -> None:
    monkeypatch.setattr(
        memory.psutil, "virtual_memory", lambda: Memory(16 * GIB, int(available * GIB))
    )
    assert memory.check(None).state == expected


class TestHuggingFace:
    def test_is_asked_once_a_minute(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[object] = []

        def refuse(access: object) -> None:
            asked.append(access)
            raise HubUnreachable("The hub is away.")

        monkeypatch.setattr(hub, "reach", refuse)
        assert hub.check() == hub.check()
        assert hub.check().state == "degraded"
        assert "The hub is away." in hub.check().detail
        assert len(asked) == 1

    def test_is_not_asked_in_offline_mode(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.HUB = settings.HUB.model_copy(update={"hf_offline": True})
        monkeypatch.setattr(hub, "reach", pytest.fail)
        assert hub.check().state == "ok"


class TestStarter:
    @pytest.fixture(autouse=True)
    def _home(self, settings: Any, tmp_path: Path) -> None:
        settings.HUB = settings.HUB.model_copy(update={"home": tmp_path, "starter": True})
        settings.HUB.models_dir.mkdir()

    def test_tells_why_it_could_not_be_registered(self) -> None:
        note_failure("No space left on device")
        found = starter.check()
        assert found.state == "degraded"
        assert "No space left on device" in found.detail

    def test_misses_its_files(self) -> None:
        make_model(STARTER_SLUG)
        assert "are gone" in starter.check().detail

    def test_is_well_where_its_files_are(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").touch()
        make_model(STARTER_SLUG, path=str(tmp_path))
        assert starter.check().state == "ok"


class TestProbes:
    def test_live_answers_without_an_engine(self, client: Client) -> None:
        assert client.get("/healthz/live").status_code == 200

    def test_ready_answers_with_one(self, client: Client, fake_engine: FakeEngine) -> None:
        response = client.get("/healthz/ready")
        assert (response.status_code, response.content) == (200, b"ok\n")

    def test_ready_is_503_without_one_and_tells_nothing(
        self, client: Client, fake_engine: FakeEngine
    ) -> None:
        fake_engine.stop()
        response = client.get("/healthz/ready")
        assert (response.status_code, response.content) == (503, b"not ready\n")

    def test_ready_is_503_where_the_engine_is_stuck(
        self, client: Client, fake_engine: FakeEngine
    ) -> None:
        fake_engine.status = {"loop_age": 9999.0}
        assert client.get("/healthz/ready").status_code == 503
