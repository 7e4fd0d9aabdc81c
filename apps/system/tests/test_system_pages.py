"""The System page and the status bar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from apps.inference.engine.protocol import (
    Accelerator,
    EvictCache,
    ListCache,
    ModelSpec,
    PinCache,
)
from apps.inference.models import PromptCacheEntry
from apps.inference.services import sync_cache_entries
from tests.engine_scripts import cache_entry, failure
from tests.fake_engine import FakeEngine

OVERVIEW = reverse("system:overview")
STATUS = reverse("system:status")
EVICT = reverse("system:cache_evict")
PIN = reverse("system:cache_pin")
HTMX = {"HX-Request": "true"}


@pytest.fixture
def engine_down(settings: Any, tmp_path: Path) -> None:
    settings.HUB = settings.HUB.model_copy(update={"home": tmp_path})


@pytest.fixture
def two_entries(fake_engine: FakeEngine) -> FakeEngine:
    fake_engine.entries["one"] = cache_entry("one", preview="You are terse.", pinned=True)
    fake_engine.entries["two"] = cache_entry("two", preview="<b>You</b> are long.")
    return fake_engine


@pytest.mark.django_db
class TestOverview:
    def test_shows_the_engine_its_memory_and_its_cache(
        self, client: Client, two_entries: FakeEngine
    ) -> None:
        two_entries.status.update(active=2, steps=48211)
        two_entries.stats.update(total_hits=3, total_misses=1, hit_rate=0.75)
        page = client.get(OVERVIEW).content.decode()
        assert "Busy" in page
        assert "48,211" in page
        assert "BLAS: openblas" in page
        assert "75%" in page
        assert "3 hits, 1 miss<" in page
        assert "You are terse." in page
        assert "&lt;b&gt;You&lt;/b&gt; are long." in page

    def test_says_what_makes_the_first_entry_where_there_is_none(
        self, client: Client, fake_engine: FakeEngine
    ) -> None:
        assert "No prompt is cached yet." in client.get(OVERVIEW).content.decode()

    def test_shows_the_accelerators_warning(self, client: Client, fake_engine: FakeEngine) -> None:
        fake_engine.status["accelerator"] = Accelerator(
            backend="cpu",
            name="Test CPU",
            blas=None,
            memory_bytes=8,
            memory_ceiling_bytes=6,
            warning="No fast BLAS was found.",
        )
        page = client.get(OVERVIEW).content.decode()
        assert "No fast BLAS was found." in page
        assert "BLAS: none" in page

    def test_says_what_to_do_where_the_engine_is_stalled(
        self, client: Client, fake_engine: FakeEngine
    ) -> None:
        fake_engine.status.update(active=1, last_step_age=45.0)
        page = client.get(OVERVIEW).content.decode()
        assert "completed no step for 45 s" in page
        assert "logs/engine.log" in page

    def test_says_what_to_do_where_the_engine_is_down(
        self, client: Client, engine_down: None
    ) -> None:
        response = client.get(OVERVIEW)
        page = response.content.decode()
        assert response.status_code == 200
        assert "The engine does not answer" in page
        assert "<code>mlx-hub up</code>" in page

    def test_survives_an_engine_that_goes_away_between_two_calls(
        self, client: Client, fake_engine: FakeEngine
    ) -> None:
        fake_engine.once(ListCache, failure("internal_error"))
        page = client.get(OVERVIEW).content.decode()
        assert "Not known while the engine does not answer." in page

    @pytest.mark.parametrize("part", ["engine", "cache"])
    def test_its_parts_can_be_asked_for_alone(
        self, client: Client, two_entries: FakeEngine, part: str
    ) -> None:
        page = client.get(reverse(f"system:{part}"), headers=HTMX).content.decode()
        assert "tile__value" in page
        assert "<body" not in page
        assert "csrfmiddlewaretoken" not in page


@pytest.mark.django_db
class TestStatusBar:
    def test_shows_state_models_memory_and_cache(
        self, client: Client, two_entries: FakeEngine
    ) -> None:
        two_entries._load(ModelSpec(name="tiny", path="/models/tiny", digest="d"))
        page = client.get(STATUS, headers=HTMX).content.decode()
        assert "Engine idle" in page
        assert "tiny" in page
        assert "976.6\xa0KB" in page
        assert "2 cached prompts" in page

    @pytest.mark.parametrize(
        ("says", "words"),
        [
            ({"active": 2, "queued": 1}, "2 running, 1 waiting"),
            ({"loading": "tiny"}, "Loading tiny"),
            ({"loop_age": 99.0}, "Engine stalled"),
        ],
    )
    def test_says_what_the_engine_does(
        self, client: Client, fake_engine: FakeEngine, says: dict[str, Any], words: str
    ) -> None:
        fake_engine.status.update(says)
        assert words in client.get(STATUS, headers=HTMX).content.decode()

    def test_says_so_where_the_engine_is_down(self, client: Client, engine_down: None) -> None:
        page = client.get(STATUS, headers=HTMX).content.decode()
        assert "Engine down" in page
        assert OVERVIEW in page

    def test_counts_the_models_that_do_not_fit(
        self, client: Client, fake_engine: FakeEngine
    ) -> None:
        for name in ("a", "b", "c", "d"):
            fake_engine._load(ModelSpec(name=name, path=f"/{name}", digest=name))
        assert "a, b and 2 more" in client.get(STATUS, headers=HTMX).content.decode()


@pytest.mark.django_db
class TestEvict:
    def test_drops_one_entry(self, client: Client, two_entries: FakeEngine) -> None:
        response = client.post(EVICT, {"entry_id": "one"}, headers=HTMX)
        page = response.content.decode()
        assert "You are terse." not in page
        assert "are long." in page
        assert list(two_entries.entries) == ["two"]

    def test_drops_the_entry_from_the_admins_list_too(
        self, client: Client, two_entries: FakeEngine
    ) -> None:
        sync_cache_entries()
        client.post(EVICT, {"entry_id": "one"}, headers=HTMX)
        assert [entry.pk for entry in PromptCacheEntry.objects.all()] == ["two"]

    def test_drops_every_entry_where_none_is_named(
        self, client: Client, two_entries: FakeEngine
    ) -> None:
        client.post(EVICT, headers=HTMX)
        assert two_entries.calls_of(EvictCache)[0].request.entry_id is None
        assert two_entries.entries == {}

    def test_leads_back_to_the_page_without_javascript(
        self, client: Client, two_entries: FakeEngine
    ) -> None:
        response = client.post(EVICT, {"entry_id": "one"})
        assert response.headers["Location"] == OVERVIEW

    def test_shows_a_failure_beside_the_entries(
        self, client: Client, two_entries: FakeEngine
    ) -> None:
        page = client.post(EVICT, {"entry_id": "gone"}, headers=HTMX).content.decode()
        assert "No such entry." in page
        assert "You are terse." in page

    def test_says_so_without_javascript_where_the_engine_is_down(
        self, client: Client, engine_down: None, db: None
    ) -> None:
        response = client.post(EVICT, {"entry_id": "one"})
        (message,) = get_messages(response.wsgi_request)
        assert "mlx-hub up" in str(message)

    def test_refuses_an_entry_name_of_any_length(
        self, client: Client, two_entries: FakeEngine
    ) -> None:
        page = client.post(EVICT, {"entry_id": "x" * 201}, headers=HTMX).content.decode()
        assert "at most 200 characters" in page
        assert two_entries.calls_of(EvictCache) == []

    def test_needs_a_post(self, client: Client) -> None:
        assert client.get(EVICT).status_code == 405

    def test_refuses_a_form_that_another_site_sent(self, db: None) -> None:
        assert Client(enforce_csrf_checks=True).post(EVICT).status_code == 403


@pytest.mark.django_db
class TestPin:
    def test_pins_an_entry(self, client: Client, two_entries: FakeEngine) -> None:
        client.post(PIN, {"entry_id": "two", "pinned": "true"}, headers=HTMX)
        assert two_entries.entries["two"].pinned

    def test_unpins_an_entry(self, client: Client, two_entries: FakeEngine) -> None:
        client.post(PIN, {"entry_id": "one", "pinned": "false"}, headers=HTMX)
        assert not two_entries.entries["one"].pinned

    def test_shows_a_failure_beside_the_entries(
        self, client: Client, two_entries: FakeEngine
    ) -> None:
        page = client.post(PIN, {"entry_id": "gone", "pinned": "true"}, headers=HTMX)
        assert "No such entry." in page.content.decode()

    @pytest.mark.parametrize("form", [{}, {"entry_id": "one"}, {"entry_id": "one", "pinned": "x"}])
    def test_refuses_a_form_that_does_not_say_what_to_do(
        self, client: Client, two_entries: FakeEngine, form: dict[str, str]
    ) -> None:
        page = client.post(PIN, form, headers=HTMX).content.decode()
        assert "That did not work" in page
        assert two_entries.calls_of(PinCache) == []
