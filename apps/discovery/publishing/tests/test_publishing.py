"""What was made here becomes a repository on the hub, by the real client library."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client
from pydantic import SecretStr

from apps.discovery.publishing import services, tasks
from apps.discovery.publishing.card import card_of
from apps.discovery.publishing.errors import NotPublishable
from apps.discovery.publishing.models import Publication
from apps.discovery.publishing.running import run
from apps.discovery.publishing.tests.write_routes import WRITER, Writing
from apps.discovery.tests.hub_repos import LARGE
from apps.discovery.tests.hub_server import HubServer, closed_port
from apps.jobs.models import JobState
from apps.models.models import Adapter, LocalModel
from apps.models.provenance import Provenance
from apps.models.signals import provenance_asked
from tests.registry import make_model

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # The library's own way of sending a file.
    pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning"),
]

WEIGHTS = bytes(range(256)) * (3 * LARGE // 256)


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as hub:
        yield hub


@pytest.fixture
def writing(hub: HubServer, settings: Any) -> Writing:
    connect(settings, hub.endpoint)
    return Writing(hub)


def connect(settings: Any, endpoint: str, token: str | None = WRITER) -> None:
    changed = {"hf_endpoint": endpoint, "hf_token": SecretStr(token) if token else None}
    settings.HUB = settings.HUB.model_copy(update=changed | {"hf_offline": False})


@pytest.fixture(autouse=True)
def known(settings: Any) -> None:
    """The hub has an access token."""
    connect(settings, "http://127.0.0.1:9")


def forget_token(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.discovery.hub.access.get_token", lambda: None)
    connect(settings, "http://127.0.0.1:9", token=None)


@pytest.fixture
def no_token(settings: Any, monkeypatch: pytest.MonkeyPatch, known: None) -> None:
    forget_token(settings, monkeypatch)


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of those that were given to the worker, which does not run here."""
    keys: list[int] = []
    monkeypatch.setattr(tasks, "run_publication", keys.append)
    return keys


@pytest.fixture
def pirate(tmp_path: Path, db: None) -> Adapter:
    folder = tmp_path / "pirate"
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"num_layers": 4}')
    (folder / "adapters.safetensors").write_bytes(WEIGHTS)
    (folder / "notes.txt").write_text("not to be published")
    base = make_model("base", repo_id="acme/base")
    return Adapter.objects.create(
        base=base, slug="pirate", name="Pirate *v1*", path=str(folder), digest="p"
    )


def order(adapter: Adapter, **fields: Any) -> Publication:
    given = {"model": adapter.base, "adapter": adapter, "repo_id": "kim/pirate"} | fields
    return services.order(**given)


def sent(publication: Publication, stops: threading.Event | None = None, **options: Any) -> str:
    """Its state after it was sent here."""
    run(publication, stops=stops or threading.Event(), **options)
    publication.refresh_from_db()
    return publication.state


def test_an_adapter_becomes_a_private_repository_with_a_card(
    pirate: Adapter, writing: Writing
) -> None:
    publication = order(pirate)
    assert (sent(publication), publication.error) == (JobState.DONE, "")
    assert writing.created["kim/pirate"]["visibility"] == "private"
    files = writing.hub.repos["kim/pirate"].files
    assert set(files) == {"README.md", "adapter_config.json", "adapters.safetensors"}
    assert files["adapters.safetensors"] == WEIGHTS
    _, front, text = files["README.md"].decode().split("---\n", 2)
    assert yaml.safe_load(front)["base_model"] == "acme/base"
    assert r"# Pirate \*v1\*" in text
    assert publication.commit_url.endswith("1" * 40)
    assert publication.sent_bytes == publication.total_bytes > len(WEIGHTS)


def test_the_card_tells_how_it_was_trained(pirate: Adapter) -> None:
    def tell(sender: Any, **kwargs: Any) -> Provenance:
        return Provenance("LoRA", "Sea | words", "iters: 5\n```\nx: 1", [("Steps", "5")])

    provenance_asked.connect(tell, sender=LocalModel, weak=False)
    try:
        card = card_of(pirate.base, pirate, "kim/pirate")
    finally:
        provenance_asked.disconnect(tell, sender=LocalModel)
    assert r"LoRA, on Sea \| words." in card
    assert "    iters: 5\n    ```\n    x: 1" in card, "settings stay text, whatever they say"


def test_the_token_is_in_no_row_and_on_no_page(
    client: Client, pirate: Adapter, writing: Writing, settings: Any
) -> None:
    connect(settings, writing.hub.endpoint, token="hf_reader_secret")
    publication = order(pirate)
    assert sent(publication) == JobState.FAILED
    assert "may not write to kim/pirate" in publication.error
    shown = client.get("/publish/").content.decode()
    assert "hf_reader_secret" not in shown + publication.error
    assert "may not write to kim/pirate" in shown


def test_a_repository_that_is_there_is_left_alone_unless_told_otherwise(
    pirate: Adapter, writing: Writing
) -> None:
    writing.hub.add("kim/pirate", {"theirs.txt": b"theirs"})
    publication = order(pirate)
    assert sent(publication) == JobState.FAILED
    assert "is there already" in publication.error
    assert set(writing.hub.repos["kim/pirate"].files) == {"theirs.txt"}
    assert sent(order(pirate, existing=True)) == JobState.DONE
    assert "theirs.txt" in writing.hub.repos["kim/pirate"].files


def test_what_the_hub_has_is_not_sent_again(pirate: Adapter, writing: Writing) -> None:
    stops = threading.Event()
    publication = order(pirate)

    def stop_behind_the_weights(doing: str, fraction: float) -> None:
        if writing.puts:
            stops.set()

    assert sent(publication, stops, on_progress=stop_behind_the_weights) == JobState.INTERRUPTED
    assert writing.hub.repos["kim/pirate"].files == {}, "there is no half commit"
    services.repeat(publication=publication)
    assert sent(publication) == JobState.DONE
    assert len(writing.puts) == 1


def test_a_cancelled_one_ends_in_the_middle_of_a_file(pirate: Adapter, writing: Writing) -> None:
    (Path(pirate.path) / "adapters.safetensors").write_bytes(bytes(500_000))
    publication = order(pirate)
    stops = threading.Event()

    def stop(doing: str, fraction: float) -> None:
        if "safetensors" in doing and 0.1 < fraction < 0.9:
            stops.set()

    assert sent(publication, stops, on_progress=stop) == JobState.INTERRUPTED
    assert writing.puts == []


def test_a_hub_that_is_away_is_named(pirate: Adapter, settings: Any) -> None:
    connect(settings, f"http://127.0.0.1:{closed_port()}")
    publication = order(pirate)
    assert sent(publication) == JobState.FAILED
    assert "can't be reached" in publication.error


def test_only_what_was_made_here_is_published(pirate: Adapter) -> None:
    with pytest.raises(NotPublishable, match="came from elsewhere"):
        services.order(model=pirate.base, adapter=None, repo_id="kim/base")
    (Path(pirate.path) / "adapters.safetensors").unlink()
    with pytest.raises(NotPublishable, match="can't be found"):
        order(pirate)


def test_a_model_that_was_fused_here_goes_without_code(tmp_path: Path, writing: Writing) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json", "modeling.py", ".secret"):
        (tmp_path / name).write_text(name)
    model = make_model("fused", path=str(tmp_path), source="fused")
    publication = services.order(model=model, adapter=None, repo_id="kim/fused", private=False)
    assert sent(publication) == JobState.DONE
    assert writing.created["kim/fused"]["visibility"] == "public"
    files = set(writing.hub.repos["kim/fused"].files)
    assert files == {"README.md", "config.json", "model.safetensors", "tokenizer.json"}


def test_the_page_orders_a_publication(client: Client, pirate: Adapter, queued: list[int]) -> None:
    page = client.get("/publish/?what=base:pirate")
    assert page.context["form"].initial["what"] == "base:pirate"
    refused = client.post("/publish/", {"what": "base:pirate", "repo_id": "pirate"})
    assert refused.status_code == 422
    given = {"what": "base:pirate", "repo_id": "kim/pirate", "private": "on"}
    assert client.post("/publish/", given).status_code == 302
    publication = Publication.objects.get()
    assert (publication.private, publication.adapter, queued) == (True, pirate, [publication.pk])
    client.post(f"/publish/{publication.pk}/cancel/")
    publication.refresh_from_db()
    assert publication.state == JobState.CANCELLED
    client.post(f"/publish/{publication.pk}/forget/")
    assert not Publication.objects.exists()


def test_without_a_token_the_page_says_so_before_anything_is_sent(
    client: Client, pirate: Adapter, no_token: None
) -> None:
    page = client.get("/publish/?what=base:pirate").content.decode()
    assert "There is no access token" in page
    assert "http://127.0.0.1:9/settings/tokens" in page
    given = {"what": "base:pirate", "repo_id": "kim/pirate", "existing": "on"}
    refused = client.post("/publish/", given)
    assert refused.status_code == 422
    assert refused.content.decode().count("There is no access token") == 1
    form = refused.context["form"]
    assert (form["repo_id"].value(), form["private"].value()) == ("kim/pirate", False)
    assert not Publication.objects.exists()


def test_without_a_token_the_api_queues_nothing_either(
    client: Client, pirate: Adapter, queued: list[int], no_token: None
) -> None:
    asked = {"model": "base:pirate", "repo_id": "kim/pirate"}
    refused = client.post("/api/publications", asked, content_type="application/json")
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (403, "token_needed")
    assert error["message"] == services.hindrance(), "the words of the form"
    assert (queued, Publication.objects.exists()) == ([], False)


def test_a_token_that_is_gone_meanwhile_is_told(
    client: Client,
    pirate: Adapter,
    queued: list[int],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publication = order(pirate)
    forget_token(settings, monkeypatch)
    assert sent(publication) == JobState.FAILED
    assert "There is no access token" in publication.error
    again = client.post(f"/api/publications/{publication.pk}/repeat")
    assert (again.status_code, again.json()["error"]["code"]) == (403, "token_needed")
    page = client.post(f"/publish/{publication.pk}/repeat/", follow=True).content.decode()
    assert page.count("There is no access token") == 3, "form, row and message"
    assert queued == []


def test_one_that_failed_is_tried_again_or_changed(
    client: Client, pirate: Adapter, queued: list[int]
) -> None:
    publication = order(pirate, private=False)
    Publication.objects.update(state=JobState.FAILED, error="It is there already.")
    # As it came by a poll: its forms are sent by the browser itself, with a token of their own.
    part = client.get("/publish/", headers={"HX-Request": "true"}).content.decode()
    assert "Try again" in part
    assert part.count("csrfmiddlewaretoken") == part.count("<form") == 2
    form = client.get(f"/publish/?{publication.order_query}").context["form"]
    shown = {name: form[name].value() for name in form.fields}
    assert shown == {
        "what": "base:pirate",
        "repo_id": "kim/pirate",
        "private": False,
        "existing": False,
    }
    client.post(f"/publish/{publication.pk}/repeat/")
    assert queued == [publication.pk]
    Publication.objects.update(state=JobState.CANCELLED)
    assert "Go on" in client.get("/publish/").content.decode()
    pirate.delete()
    part = client.get("/publish/").content.decode()
    assert "Go on" not in part, "there is nothing to send any more"


def test_the_api_publishes(client: Client, pirate: Adapter, queued: list[int]) -> None:
    asked = {"model": "base:pirate", "repo_id": "kim/pirate"}
    made = client.post("/api/publications", asked, content_type="application/json")
    assert made.status_code == 202
    key = made.json()["id"]
    assert queued == [key]
    assert client.get(f"/api/publications/{key}").json()["private"] is True
    assert client.delete(f"/api/publications/{key}").status_code == 409
    assert client.post(f"/api/publications/{key}/cancel").json()["state"] == "cancelled"
    assert client.delete(f"/api/publications/{key}").status_code == 204
    bad = client.post(
        "/api/publications", asked | {"model": "base"}, content_type="application/json"
    )
    assert (bad.status_code, bad.json()["error"]["code"]) == (400, "not_publishable")
