"""Downloads over REST."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.discovery.downloads.models import Download
from apps.discovery.tests.conftest import REPO
from apps.discovery.tests.downloading import SLUG, order
from apps.discovery.tests.hub_server import HubServer
from apps.jobs.models import JobState
from apps.models.models import LocalModel
from tests.registry import make_model

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("woken")]

URL = "/api/downloads"


@pytest.fixture(autouse=True)
def tiny(models_dir: Path, hub_server: HubServer, tiny_files: dict[str, bytes]) -> None:
    hub_server.add(REPO, tiny_files)


def post(client: Client, path: str, body: dict[str, Any] | None = None) -> Any:
    return client.post(path, body or {}, content_type="application/json")


def test_an_order_is_answered_with_the_exact_files(client: Client, hub_server: HubServer) -> None:
    response = post(client, URL, {"repo_id": REPO})

    assert response.status_code == 201
    answer = response.json()
    download = answer["download"]
    assert (answer["here"], answer["joined"]) == (None, False)
    assert (download["state"], download["name"]) == ("queued", SLUG)
    assert download["commit"] == hub_server.repos[REPO].commit
    assert download["bytes_total"] == sum(file["size"] for file in download["files"])


def test_what_is_on_its_way_is_joined(client: Client) -> None:
    first = post(client, URL, {"repo_id": REPO}).json()
    response = post(client, URL, {"repo_id": REPO})

    assert response.status_code == 200
    assert response.json()["joined"]
    assert response.json()["download"]["id"] == first["download"]["id"]


def test_what_is_here_is_named(client: Client) -> None:
    make_model("tiny", repo_id=REPO, path="/tmp")
    response = post(client, URL, {"repo_id": REPO})

    assert response.status_code == 200
    assert response.json() == {"here": "tiny", "download": None, "joined": False}


@pytest.mark.parametrize(
    ("order", "status", "code"),
    [
        ({"repo_id": "acme/nothing"}, 404, "repository_not_found"),
        ({"repo_id": "../../etc/passwd"}, 404, "repository_not_found"),
        ({"repo_id": "acme/old"}, 400, "no_usable_weights"),
        ({"repo_id": REPO, "name": "../up"}, 400, "invalid_name"),
        ({"repo_id": REPO, "name": "taken"}, 409, "name_taken"),
        ({"repo_id": REPO, "token": "hf_secret"}, 400, None),
        ({}, 400, None),
    ],
)
def test_an_order_that_cannot_be_met_says_why(
    client: Client, hub_server: HubServer, order: dict[str, str], status: int, code: str | None
) -> None:
    hub_server.add("acme/old", {"pytorch_model.bin": b"a pickle", "config.json": b"{}"})
    make_model("taken")

    response = post(client, URL, order)

    assert response.status_code == status
    if code:
        assert response.json()["error"]["code"] == code
    assert not Download.objects.exists()


def test_a_hub_that_cannot_be_reached_is_not_this_hubs_fault(
    client: Client, hub_server: HubServer
) -> None:
    hub_server.broken_info = (500, b"")
    assert post(client, URL, {"repo_id": REPO}).status_code == 503


def test_downloads_are_listed_page_by_page_the_newest_first(client: Client) -> None:
    keys = [order(slug=slug).pk for slug in ("one", "two", "three")]
    Download.objects.filter(pk=keys[0]).update(state=JobState.DONE, model=make_model("one"))

    page = client.get(URL, {"limit": 2}).json()
    assert [each["id"] for each in page["downloads"]] == [keys[2], keys[1]]
    assert page["total"] == 3
    done = client.get(URL, {"state": "done"}).json()
    assert [each["model"] for each in done["downloads"]] == ["one"]
    assert client.get(URL, {"state": "lost"}).status_code == 400


def test_one_is_paused_resumed_put_first_and_cancelled(client: Client) -> None:
    key = order().pk
    states = [
        post(client, f"{URL}/{key}/{action}").json()["state"]
        for action in ("pause", "resume", "first", "cancel")
    ]
    assert states == ["paused", "queued", "queued", "cancelled"]


def test_one_that_is_over_is_forgotten_and_another_is_not(client: Client) -> None:
    key = order().pk
    refused = client.delete(f"{URL}/{key}")
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "download_refused"
    post(client, f"{URL}/{key}/cancel")
    assert client.delete(f"{URL}/{key}").status_code == 204
    assert client.get(f"{URL}/{key}").status_code == 404


def test_what_it_is_doing_is_told_with_rate_and_time_left(client: Client) -> None:
    download = order()
    Download.objects.update(
        state=JobState.RUNNING,
        wish="pause",
        doing="downloading x",
        rate=download.bytes_total / 10,
        bytes_done=0,
    )
    told = client.get(f"{URL}/{download.pk}").json()
    assert (told["state"], told["asked"], told["doing"]) == ("running", "pause", "downloading x")
    assert told["seconds_left"] == pytest.approx(10)
    assert not LocalModel.objects.exists()
