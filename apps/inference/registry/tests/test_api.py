"""The registry over REST."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.models.models import Adapter, LocalModel
from tests.registry import make_model

pytestmark = pytest.mark.django_db

URL = "/api/models"


def send(client: Client, method: str, path: str, body: dict[str, Any]) -> Any:
    return getattr(client, method)(path, body, content_type="application/json")


# --- list and show ------------------------------------------------------------


def test_models_are_listed_searched_and_sorted_a_page_at_a_time(client: Client) -> None:
    for number in range(5):
        make_model(f"model-{number}", size_bytes=number)
    make_model("other")

    answer = client.get(URL, {"q": "model", "sort": "-size_bytes", "limit": 2, "offset": 1}).json()

    assert [model["slug"] for model in answer["models"]] == ["model-3", "model-2"]
    assert answer["total"] == 5


@pytest.mark.parametrize("query", ["sort=path", "limit=0", "kind=cake", "offset=-1"])
def test_a_query_that_makes_no_sense_is_a_400(client: Client, query: str) -> None:
    assert client.get(f"{URL}?{query}").status_code == 400


def test_one_model_is_told_in_full_by_name_or_alias(client: Client, tiny: LocalModel) -> None:
    LocalModel.objects.update(alias="gpt", temperature=0.5, recommended={"top_p": 0.9})
    Adapter.objects.create(base=tiny, slug="tone", name="Tone", path="/a", digest="d", rank=8)

    told = client.get(f"{URL}/gpt").json()

    assert told["slug"] == "tiny"
    assert told["defaults"]["temperature"] == 0.5
    assert told["recommended"] == {"top_p": 0.9}
    assert [adapter["slug"] for adapter in told["adapters"]] == ["tone"]


def test_a_model_that_is_not_here_is_a_404(client: Client) -> None:
    assert client.get(f"{URL}/gone").status_code == 404


# --- set ----------------------------------------------------------------------


def test_what_is_left_out_stays_and_null_empties(client: Client, tiny: LocalModel) -> None:
    LocalModel.objects.update(temperature=0.5, top_k=3, pinned=True)

    told = send(client, "patch", f"{URL}/tiny", {"temperature": None, "min_p": 0.1}).json()

    assert told["defaults"] | {"temperature": None, "top_k": 3, "min_p": 0.1} == told["defaults"]
    assert told["pinned"] is True


def test_a_draft_is_named(client: Client) -> None:
    make_model("large", parameters=9_000_000)
    make_model("small")

    assert send(client, "patch", f"{URL}/large", {"draft": "small"}).json()["draft"] == "small"
    assert send(client, "patch", f"{URL}/large", {"draft": None}).json()["draft"] is None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"alias": "other"}, "alias"),
        ({"alias": "no good"}, "alias"),
        ({"draft": "tiny"}, "draft"),
        ({"context_limit": 10**6}, "context_limit"),
        ({"temperature": 3}, "temperature"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(
    client: Client, tiny: LocalModel, body: dict[str, Any], param: str
) -> None:
    make_model("other")

    response = send(client, "patch", f"{URL}/tiny", body)

    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


# --- delete -------------------------------------------------------------------


def test_a_deletion_is_shown_before_it_is_done(
    client: Client, tiny: LocalModel, models_dir: Path
) -> None:
    folder = models_dir / "tiny"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(bytes(10))
    LocalModel.objects.update(path=str(folder), alias="gpt")

    shown = client.get(f"{URL}/tiny/deletion").json()
    assert (shown["freed_bytes"], shown["possible"]) == (10, True)
    assert "gpt" in shown["consequences"][0]["text"]

    assert client.delete(f"{URL}/tiny").status_code == 204
    assert not folder.exists()
    assert not LocalModel.objects.exists()


def test_a_model_with_adapters_stays_and_the_adapters_can_go(
    client: Client, tiny: LocalModel
) -> None:
    Adapter.objects.create(base=tiny, slug="tone", name="Tone", path="/a", digest="d")
    refused = client.delete(f"{URL}/tiny")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "model_in_use")

    assert client.delete(f"{URL}/tiny/adapters/tone").status_code == 204
    assert client.delete(f"{URL}/tiny").status_code == 204


# --- work ---------------------------------------------------------------------


def test_a_conversion_is_ordered_and_followed(client: Client, tiny: LocalModel) -> None:
    body = {"name": "Tiny 3", "quantization": {"mixed": "mixed_3_6"}, "measure": False}

    response = send(client, "post", f"{URL}/tiny/convert", body)

    assert response.status_code == 202
    job = response.json()
    assert (job["kind"], job["state"], job["model"]) == ("convert", "queued", "tiny")
    assert job["plan"]["slug"] == "tiny-3"
    assert client.get(f"{URL}/jobs/{job['id']}").json() == job
    assert client.get(f"{URL}/jobs").json() == {"jobs": [job], "total": 1}

    assert client.delete(f"{URL}/jobs/{job['id']}").status_code == 409
    assert client.post(f"{URL}/jobs/{job['id']}/cancel").json()["state"] == "cancelled"
    assert client.delete(f"{URL}/jobs/{job['id']}").status_code == 204


def test_the_worker_is_woken_once_it_is_committed(
    client: Client,
    tiny: LocalModel,
    queued: list[int],
    django_capture_on_commit_callbacks: Any,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        job = client.post(f"{URL}/tiny/verify").json()

    assert queued == [job["id"]]


def test_fusions_exports_and_verifications_are_ordered(client: Client, tiny: LocalModel) -> None:
    Adapter.objects.create(base=tiny, slug="tone", name="Tone", path="/a", digest="d")

    fused = send(client, "post", f"{URL}/tiny/fuse", {"adapter": "tone", "name": "Fused"})
    exported = send(client, "post", f"{URL}/tiny/export", {"format": "gguf"})
    verified = client.post(f"{URL}/tiny/verify")

    kinds = [response.json()["kind"] for response in (fused, exported, verified)]
    assert kinds == ["fuse", "export", "verify"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("gone/convert", {"name": "x"}, 404),
        ("tiny/convert", {"name": "tiny"}, 409),
        ("tiny/convert", {"name": "///"}, 400),
        ("tiny/convert", {"name": "x", "quantization": {"mode": "mxfp4", "bits": 4}}, 400),
        ("tiny/fuse", {"name": "x", "adapter": "gone"}, 404),
        ("tiny/export", {"format": "zip"}, 400),
        ("jobs/99/cancel", {}, 404),
    ],
)
def test_what_can_not_be_ordered_is_told(
    client: Client, tiny: LocalModel, path: str, body: dict[str, Any], status: int
) -> None:
    response = send(client, "post", f"{URL}/{path}", body)

    assert response.status_code == status
    assert response.json()["error"]["message"]


# --- disk ---------------------------------------------------------------------


def test_the_disk_is_told_and_a_leftover_removed(client: Client, models_dir: Path) -> None:
    (models_dir / "stray").mkdir()
    (models_dir / "stray" / "file").write_bytes(bytes(9))

    told = client.get("/api/disk").json()
    assert [(each["name"], each["size_bytes"]) for each in told["leftovers"]] == [("stray", 9)]

    assert client.delete("/api/disk/leftovers/stray").status_code == 204
    assert client.delete("/api/disk/leftovers/stray").status_code == 404
