"""GET /metrics, and the dashboard that is drawn of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client
from huey import MemoryHuey
from prometheus_client.parser import text_string_to_metric_families

from apps.discovery.downloads.models import Download
from apps.inference import heartbeat
from apps.system.history.accelerator import Use
from apps.system.metrics import collector
from tests.fake_engine import FakeEngine

URL = "/metrics"
DASHBOARD = Path(__file__).parents[4] / "docs" / "grafana-dashboard.json"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def beating(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker has given a sign of life."""
    monkeypatch.setattr(heartbeat, "HUEY", MemoryHuey())
    heartbeat.beat()


def asked(client: Client) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Values by metric and labels, of the hub's own metrics."""
    response = client.get(URL)
    assert response.status_code == 200
    found: dict[str, Any] = {}
    for family in text_string_to_metric_families(response.content.decode()):
        for sample in family.samples:
            if sample.name.startswith("mlxhub_"):
                labels = tuple(sorted(sample.labels.items()))
                found.setdefault(sample.name, {})[labels] = sample.value
    return found


def test_tells_what_the_engine_does_and_holds(client: Client, fake_engine: FakeEngine) -> None:
    fake_engine.status.update(active=2, queued=1, steps=48211)
    fake_engine.stats.update(memory_bytes=5, disk_bytes=7, total_hits=3)
    found = asked(client)
    assert found["mlxhub_engine_active_sequences"][()] == 2
    assert found["mlxhub_engine_steps_total"][()] == 48211
    assert found["mlxhub_prompt_cache_bytes"][(("tier", "disk"),)] == 7
    assert found["mlxhub_prompt_cache_hits_total"][()] == 3
    assert found["mlxhub_engine_memory_bytes"][(("owner", "prompt_cache"),)] == 5
    assert found["mlxhub_up"][(("source", "engine"),)] == 1


def test_tells_how_busy_the_accelerator_is_where_the_platform_says(
    client: Client, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "accelerator_use", lambda backend: Use(45.0, 2**30))
    found = asked(client)
    assert found["mlxhub_accelerator_use_ratio"][()] == 0.45
    assert found["mlxhub_accelerator_memory_bytes"][()] == 2**30


def test_claims_no_use_of_an_accelerator_that_tells_none(
    client: Client, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "accelerator_use", lambda backend: Use())
    assert "mlxhub_accelerator_use_ratio" not in asked(client)


def test_counts_the_processors_time(client: Client, fake_engine: FakeEngine) -> None:
    seconds = asked(client)["mlxhub_machine_cpu_seconds_total"]
    assert seconds[(("state", "busy"),)] > 0
    assert seconds[(("state", "idle"),)] > 0


def test_leaves_out_what_does_not_answer(
    client: Client, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_engine.stop()

    def refuse() -> None:
        raise DatabaseError("secret")

    monkeypatch.setattr(collector, "_SOURCES", (("jobs", refuse),))
    found = asked(client)
    assert found["mlxhub_up"] == {(("source", "engine"),): 0, (("source", "jobs"),): 0}
    assert "mlxhub_engine_steps_total" not in found


def test_counts_jobs_of_every_kind(client: Client, fake_engine: FakeEngine) -> None:
    Download.objects.create(repo_id="a/b", commit="c", slug="b", bytes_total=100, bytes_done=40)
    found = asked(client)
    assert found["mlxhub_jobs"][(("kind", "download"), ("state", "queued"))] == 1
    assert found["mlxhub_jobs"][(("kind", "trainingjob"), ("state", "failed"))] == 0
    assert found["mlxhub_download_left_bytes"][()] == 60


def test_counts_requests_by_class_of_route_and_status(
    client: Client, fake_engine: FakeEngine
) -> None:
    name = "mlxhub_http_requests_total"
    labels = (("route", "unknown"), ("status", "404"))
    before = asked(client).get(name, {}).get(labels, 0)
    client.get("/no/such/page")
    assert asked(client)[name][labels] == before + 1


def test_no_label_has_values_without_bound(client: Client, fake_engine: FakeEngine) -> None:
    client.get("/models/anything-a-caller-likes/")
    labels = {key for values in asked(client).values() for pairs in values for key, _ in pairs}
    assert labels <= {
        "code", "kind", "le", "outcome", "owner", "process", "route", "source", "state", "status",
        "tier",
    }  # fmt: skip


def test_every_metric_of_the_dashboard_exists(client: Client, fake_engine: FakeEngine) -> None:
    """Of those with labels, a family without a value yet is known by its help."""
    text = client.get(URL).content.decode()
    known = set(re.findall(r"^# HELP (mlxhub_\w+)", text, flags=re.MULTILINE))
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    assert len(queries) > 10
    for query in queries:
        for name in re.findall(r"mlxhub_\w+", query):
            assert {name, re.sub(r"_(bucket|sum|count)$", "", name)} & known, name
