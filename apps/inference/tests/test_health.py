"""GET /admin/health, and what counts as healthy."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DatabaseError
from huey import MemoryHuey

from apps.inference import health, heartbeat
from apps.inference.tests.conftest import Caller
from tests.fake_engine import FakeEngine

URL = "/admin/health"


@pytest.fixture(autouse=True)
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryHuey]:
    """A task queue of this test's own."""
    queue = MemoryHuey()
    monkeypatch.setattr(heartbeat, "HUEY", queue)
    return queue


@pytest.fixture(autouse=True)
def _database(db: None) -> None:
    pass


def test_a_hub_with_all_its_parts_is_ok(call: Caller, fake_engine: FakeEngine) -> None:
    heartbeat.beat()

    answer = call("GET", URL)

    assert answer.status == 200
    assert answer.json["status"] == "ok"
    components = answer.json["components"]
    assert {name: part["status"] for name, part in components.items()} == {
        "database": "ok",
        "engine": "ok",
        "worker": "ok",
    }
    assert all(part["latency_ms"] >= 0 for part in components.values())
    state = components["engine"]["state"]
    assert (state["pid"], state["steps"]) == (4242, 10)
    assert state["accelerator"]["blas"] == "openblas"


def test_without_a_worker_the_hub_is_degraded_and_still_answers(
    call: Caller, fake_engine: FakeEngine
) -> None:
    answer = call("GET", URL)

    assert answer.status == 200
    assert answer.json["status"] == "degraded"
    assert "mlx-hub up" in answer.json["components"]["worker"]["detail"]


def test_a_worker_that_stopped_beating_is_gone(
    call: Caller, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    heartbeat.beat()
    monkeypatch.setattr(health, "MISSED_BEATS", -1)

    worker = call("GET", URL).json["components"]["worker"]

    assert worker["status"] == "down"
    assert "last seen" in worker["detail"]


def test_a_task_queue_that_fails_is_a_worker_that_is_down(
    call: Caller, fake_engine: FakeEngine, queue: MemoryHuey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("secret")

    monkeypatch.setattr(queue, "get", refuse)

    answer = call("GET", URL)

    assert answer.status == 200
    assert answer.json["components"]["worker"]["status"] == "down"
    assert b"secret" not in answer.content


def test_without_an_engine_the_hub_is_down(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.stop()

    answer = call("GET", URL)

    assert answer.status == 503
    assert answer.json["status"] == "down"
    engine = answer.json["components"]["engine"]
    assert engine["status"] == "down"
    assert engine["state"] is None
    assert "mlx-hub up" in engine["detail"]


def test_without_a_database_the_hub_is_down_and_says_no_more(
    call: Caller, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise DatabaseError("secret")

    with monkeypatch.context() as patched:  # undone before the test's own clean-up
        patched.setattr(health.connection, "cursor", refuse)
        answer = call("GET", URL)

    assert answer.status == 503
    assert answer.json["components"]["database"]["status"] == "down"
    assert b"secret" not in answer.content


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
    call: Caller, fake_engine: FakeEngine, status: dict[str, Any], expected: str
) -> None:
    fake_engine.status = status

    assert call("GET", URL).json["components"]["engine"]["status"] == expected
