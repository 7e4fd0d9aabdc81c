"""What the engine is told of how models are to be served, and what the pages show of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.inference import receivers
from apps.inference.engine.protocol import DraftSpec, LoadModel, Speculation
from apps.inference.loads import ModelLoads
from apps.inference.services import resolve_model, spec_for
from apps.models import services
from apps.models.models import LocalModel
from tests.fake_engine import PATIENCE, FakeEngine


@pytest.fixture
def own_loads(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelLoads]:
    """Loads of this test alone, over by its end."""
    own = ModelLoads()
    monkeypatch.setattr(receivers, "model_loads", own)
    yield own
    for load in list(own._loads.values()):
        own.cancel(load.spec.digest)
        assert load.ended.wait(PATIENCE)


def part(client: Client, name: str, *of: str, **query: str) -> str:
    """What a page asks for by htmx."""
    address = reverse(f"inference:{name}", args=of)
    return client.get(address, query, headers={"HX-Request": "true"}).content.decode()


def show(client: Client, engine: FakeEngine, model: LocalModel, **fields: Any) -> str:
    """What the Models page says of the model, loaded as ``fields`` say."""
    engine._load(spec_for(model))
    engine.loaded[model.digest] = engine.loaded[model.digest].model_copy(update=fields)
    return part(client, "loaded", model.slug)


class TestSpec:
    def test_leaves_to_the_engine_what_the_model_does_not_say(self, tiny: LocalModel) -> None:
        spec = spec_for(tiny)
        assert (spec.ttl_seconds, spec.pinned, spec.draft) == (None, False, None)

    def test_carries_ttl_pin_and_draft(self, tiny: LocalModel, qwen: LocalModel) -> None:
        tiny.ttl_minutes, tiny.pinned, tiny.draft = 5, True, qwen
        spec = spec_for(tiny)
        assert (spec.ttl_seconds, spec.pinned) == (300, True)
        assert spec.draft == DraftSpec(name="qwen", path=qwen.path, digest=qwen.digest)

    def test_keeps_never_apart_from_not_said(self, tiny: LocalModel) -> None:
        tiny.ttl_minutes = 0
        assert spec_for(tiny).ttl_seconds == 0

    def test_needs_no_database_once_the_model_is_found(
        self, tiny: LocalModel, qwen: LocalModel, django_assert_num_queries: Any
    ) -> None:
        tiny.draft = qwen
        tiny.save()
        named = resolve_model("tiny")
        with django_assert_num_queries(0):
            assert named.spec.draft is not None


class TestTelling:
    def test_a_loaded_model_is_served_as_it_now_says(
        self, fake_engine: FakeEngine, tiny: LocalModel, own_loads: ModelLoads
    ) -> None:
        fake_engine._load(spec_for(tiny))
        tiny.pinned = True
        services.save_settings(model=tiny)
        assert fake_engine.wait_for_call(LoadModel).request.model.pinned

    def test_a_model_that_is_not_loaded_is_not_loaded_for_it(
        self, fake_engine: FakeEngine, tiny: LocalModel, own_loads: ModelLoads
    ) -> None:
        services.save_settings(model=tiny)
        assert own_loads.get(tiny.digest) is None
        assert fake_engine.calls_of(LoadModel) == []

    def test_an_engine_that_is_down_does_not_keep_it_from_being_saved(
        self, settings: Any, tmp_path: Any, tiny: LocalModel
    ) -> None:
        settings.HUB = settings.HUB.model_copy(update={"home": tmp_path})
        tiny.ttl_minutes = 3
        services.save_settings(model=tiny)
        assert LocalModel.objects.get().ttl_minutes == 3


class TestLoadedModel:
    def test_shows_its_memory_and_how_long_it_stays(
        self, client: Client, fake_engine: FakeEngine, tiny: LocalModel
    ) -> None:
        in_a_while = time.time() + 30 * 60 + 20
        page = show(client, fake_engine, tiny, measured_bytes=3 << 20, unloads_at=in_a_while)
        assert "3.0\xa0MB" in page
        assert "30 min more without use" in page

    def test_shows_that_it_is_kept(
        self, client: Client, fake_engine: FakeEngine, tiny: LocalModel
    ) -> None:
        page = show(client, fake_engine, tiny, pinned=True)
        assert "for good: it is kept loaded" in page
        states = part(client, "states", model="tiny")
        assert "Loaded, kept" in states

    def test_shows_its_adapters_and_how_its_draft_does(
        self, client: Client, fake_engine: FakeEngine, tiny: LocalModel
    ) -> None:
        speculation = Speculation(drafted=200, accepted=150)
        page = show(
            client,
            fake_engine,
            tiny,
            adapters=("pirate", "polite"),
            draft="qwen",
            speculation=speculation,
        )
        assert "pirate, polite" in page
        assert "qwen, 75% of its tokens accepted" in page

    def test_says_why_its_draft_is_not_used(
        self, client: Client, fake_engine: FakeEngine, tiny: LocalModel
    ) -> None:
        page = show(client, fake_engine, tiny, draft="", draft_problem="It has <2> tokens.")
        assert "No draft is used: It has &lt;2&gt; tokens." in page

    def test_shows_nothing_of_a_model_that_is_not_loaded(
        self, client: Client, fake_engine: FakeEngine, tiny: LocalModel
    ) -> None:
        page = part(client, "loaded", "tiny")
        assert page.strip() == ""

    def test_shows_how_far_a_load_is(
        self, client: Client, fake_engine: FakeEngine, tiny: LocalModel
    ) -> None:
        fake_engine.status |= {"loading": "tiny", "loading_share": 0.43}
        page = part(client, "states", model="tiny")
        assert "Loading 43%" in page
