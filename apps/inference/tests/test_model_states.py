"""The Models page's view of the engine: states, load, cancel, unload."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from apps.inference import loads, residency, views
from apps.inference.engine.protocol import Loading, LoadModel, UnloadModel
from apps.inference.loads import ModelLoads
from apps.inference.services import spec_for
from apps.models.models import LocalModel
from tests.engine_scripts import Gate, failure
from tests.fake_engine import PATIENCE, FakeEngine

HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def own_loads(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelLoads]:
    """Loads of this test alone, over by its end."""
    own = ModelLoads()
    for module in (views, residency):
        monkeypatch.setattr(module, "model_loads", own)
    yield own
    for load in list(own._loads.values()):
        own.cancel(load.spec.digest)
        assert load.ended.wait(PATIENCE)


def states(client: Client, *slugs: str) -> str:
    return client.get(reverse("inference:states"), {"model": slugs}, headers=HTMX).content.decode()


def post(client: Client, name: str, slug: str) -> Any:
    return client.post(reverse(f"inference:{name}", args=[slug]), headers=HTMX)


def toast(response: Any) -> str | None:
    triggers = json.loads(response.headers.get("HX-Trigger", "{}"))
    return triggers.get("hub:toast", {}).get("text")


class TestStates:
    def test_shows_what_is_loaded_and_what_is_not(
        self, client: Client, fake_engine: FakeEngine, tiny: LocalModel, qwen: LocalModel
    ) -> None:
        fake_engine._load(spec_for(tiny))
        page = states(client, "tiny", "qwen")
        assert page.count("Not loaded") == 1
        assert reverse("inference:unload", args=["tiny"]) in page
        assert reverse("inference:load", args=["qwen"]) in page

    def test_finds_its_place_for_each_model_on_the_page(
        self, client: Client, fake_engine: FakeEngine, tiny: LocalModel
    ) -> None:
        page = states(client, "tiny")
        assert f'hx-swap-oob="outerHTML:.model-state-{tiny.pk}"' in page
        assert f'hx-swap-oob="outerHTML:.model-used-{tiny.pk}"' in page

    def test_shows_only_the_models_that_are_asked_for(
        self, client: Client, fake_engine: FakeEngine, tiny: LocalModel, qwen: LocalModel
    ) -> None:
        assert f"model-state-{qwen.pk}" not in states(client, "tiny", "unknown")

    def test_shows_a_load_that_somebody_else_started(
        self, client: Client, fake_engine: FakeEngine, tiny: LocalModel
    ) -> None:
        fake_engine.status["loading"] = "tiny"
        page = states(client, "tiny")
        assert "Loading" in page
        assert "Cancel" not in page

    def test_says_so_where_the_engine_is_down(
        self, client: Client, settings: Any, tmp_path: Any, tiny: LocalModel
    ) -> None:
        settings.HUB = settings.HUB.model_copy(update={"home": tmp_path})
        page = states(client, "tiny")
        assert "Engine down" in page
        assert "<button" not in page


class TestLoad:
    def test_loads_the_model(
        self, client: Client, fake_engine: FakeEngine, tiny: LocalModel
    ) -> None:
        response = post(client, "load", "tiny")
        assert "Loaded" in response.content.decode()
        assert toast(response) == "Tiny is loaded."
        (call,) = fake_engine.calls_of(LoadModel)
        assert call.request.model == spec_for(tiny)

    def test_does_not_wait_for_a_long_load_and_offers_to_cancel_it(
        self,
        client: Client,
        fake_engine: FakeEngine,
        tiny: LocalModel,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(views, "_FIRST_WORD", 0)
        fake_engine.once(LoadModel, Loading(model="tiny"), Gate())
        response = post(client, "load", "tiny")
        page = response.content.decode()
        assert re.search(r"Loading \d+ s", page)
        assert reverse("inference:cancel_load", args=["tiny"]) in page
        assert toast(response) is None

    def test_keeps_a_failure_beside_the_model(
        self, client: Client, fake_engine: FakeEngine, tiny: LocalModel
    ) -> None:
        fake_engine.once(LoadModel, failure("insufficient_memory", "It needs 9 GB."))
        response = post(client, "load", "tiny")
        assert "It needs 9 GB." in response.content.decode()
        assert toast(response) is None
        assert "It needs 9 GB." in states(client, "tiny")

    def test_leads_back_to_the_page_without_javascript(
        self, client: Client, fake_engine: FakeEngine, tiny: LocalModel
    ) -> None:
        response = client.post(reverse("inference:load", args=["tiny"]))
        assert response.headers["Location"] == reverse("models:list")
        assert [str(m) for m in get_messages(response.wsgi_request)] == ["Tiny is loaded."]

    def test_says_what_to_do_without_javascript_where_the_engine_is_down(
        self, client: Client, settings: Any, tmp_path: Any, tiny: LocalModel
    ) -> None:
        settings.HUB = settings.HUB.model_copy(update={"home": tmp_path})
        response = client.post(reverse("inference:load", args=["tiny"]))
        (message,) = get_messages(response.wsgi_request)
        assert "mlx-hub up" in str(message)

    def test_is_not_found_for_an_unknown_model(self, client: Client, db: None) -> None:
        assert post(client, "load", "unknown").status_code == 404

    def test_needs_a_post(self, client: Client, tiny: LocalModel) -> None:
        assert client.get(reverse("inference:load", args=["tiny"])).status_code == 405

    def test_refuses_a_form_that_another_site_sent(self, tiny: LocalModel) -> None:
        client = Client(enforce_csrf_checks=True)
        assert client.post(reverse("inference:load", args=["tiny"])).status_code == 403


class TestCancel:
    def test_hangs_up_on_the_load(
        self,
        client: Client,
        fake_engine: FakeEngine,
        tiny: LocalModel,
        own_loads: ModelLoads,
    ) -> None:
        fake_engine.once(LoadModel, Gate())
        load = own_loads.start(spec_for(tiny), loads.EngineClient(fake_engine.socket_path))
        call = fake_engine.wait_for_call(LoadModel)
        response = post(client, "cancel_load", "tiny")
        call.wait_closed_early()
        assert load.ended.wait(PATIENCE)
        assert toast(response) == "Loading Tiny was cancelled."
        assert "Not loaded" in states(client, "tiny")


class TestUnload:
    def test_unloads_the_model(
        self, client: Client, fake_engine: FakeEngine, tiny: LocalModel
    ) -> None:
        fake_engine._load(spec_for(tiny))
        response = post(client, "unload", "tiny")
        assert "Not loaded" in response.content.decode()
        assert toast(response) == "Tiny is unloaded."
        assert fake_engine.loaded == {}

    def test_keeps_a_refusal_beside_the_model(
        self, client: Client, fake_engine: FakeEngine, tiny: LocalModel
    ) -> None:
        fake_engine._load(spec_for(tiny))
        fake_engine.once(UnloadModel, failure("model_busy", "It is answering 2 requests."))
        response = post(client, "unload", "tiny")
        page = response.content.decode()
        assert "It is answering 2 requests." in page
        assert "Unload" in page
        assert toast(response) is None
