"""Benchmarks over REST."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.inference.benchmarks.tests.runs import make_run
from apps.inference.models import BenchmarkRun
from apps.models.models import LocalModel

pytestmark = pytest.mark.django_db

URL = "/api/benchmarks"


def post(client: Client, path: str, body: dict[str, Any]) -> Any:
    return client.post(path, body, content_type="application/json")


def test_a_run_is_started(client: Client, tiny: LocalModel, queued: list[int]) -> None:
    response = post(client, URL, {"model": "tiny", "clients": [4, 1], "rounds": 2})
    assert response.status_code == 201
    started = response.json()
    assert started["state"] == "queued"
    assert started["plan"] == {
        "rounds": 2,
        "clients": [1, 4],
        "system_tokens": 500,
        "decode_tokens": 32,
    }
    assert started["progress"] == {"done": 0, "total": 13, "doing": ""}


@pytest.mark.parametrize(
    ("changes", "status", "param"),
    [
        ({"model": "gone"}, 404, "model"),
        ({"base_url": "file:///etc/passwd"}, 400, "base_url"),
        ({"clients": [0]}, 400, "clients[0]"),
        ({"rounds": 0}, 400, "rounds"),
        ({"api_key": "secret"}, 400, "api_key"),
    ],
)
def test_a_wrong_request_names_its_field(
    client: Client, tiny: LocalModel, changes: dict[str, Any], status: int, param: str
) -> None:
    response = post(client, URL, {"model": "tiny"} | changes)
    assert response.status_code == status
    assert response.json()["error"]["param"] == param
    assert not BenchmarkRun.objects.exists()


def test_runs_are_listed_page_by_page_the_newest_first(client: Client) -> None:
    keys = [make_run().pk for _ in range(3)]
    make_run(model_name="other")
    page = client.get(URL, {"model": "tiny", "limit": 2}).json()
    assert [each["id"] for each in page["benchmarks"]] == [keys[2], keys[1]]
    assert page["total"] == 3
    rest = client.get(URL, {"model": "tiny", "limit": 2, "offset": 2}).json()
    assert [each["id"] for each in rest["benchmarks"]] == [keys[0]]


def test_one_run_is_exported_with_its_figures(client: Client) -> None:
    run = make_run()
    exported = client.get(f"{URL}/{run.pk}").json()
    assert exported["figures"]["throughput"][0]["clients"] == 1
    assert exported["peak_memory_bytes"] == 2 * 1024**3


def test_a_run_is_cancelled(client: Client) -> None:
    run = make_run("queued")
    assert post(client, f"{URL}/{run.pk}/cancel", {}).json()["state"] == "cancelled"


def test_a_run_that_is_over_is_deleted(client: Client) -> None:
    run = make_run()
    assert client.delete(f"{URL}/{run.pk}").status_code == 204
    assert not BenchmarkRun.objects.exists()


def test_a_run_under_way_is_not_deleted(client: Client) -> None:
    response = client.delete(f"{URL}/{make_run('running').pk}")
    assert response.status_code == 409
    assert response.json()["error"]["code"] == "benchmark_active"


@pytest.mark.parametrize(("method", "path"), [("get", ""), ("post", "/cancel"), ("delete", "")])
def test_an_unknown_run_is_not_found(client: Client, method: str, path: str) -> None:
    response = getattr(client, method)(f"{URL}/4711{path}")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "benchmark_not_found"


def test_a_foreign_page_may_not_start_one(client: Client, tiny: LocalModel) -> None:
    response = client.post(
        URL,
        {"model": "tiny"},
        content_type="application/json",
        headers={"Origin": "http://evil.test", "Sec-Fetch-Site": "cross-site"},
    )
    assert response.status_code == 403
    assert not BenchmarkRun.objects.exists()
