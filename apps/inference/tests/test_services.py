"""The mirror of the prompt cache, and finding models and adapters."""

from __future__ import annotations

import pytest

from apps.inference import services
from apps.inference.client import EngineError, EngineUnavailable
from apps.inference.engine.protocol import AdapterSpec, ListCache
from apps.inference.models import PromptCacheEntry
from apps.models.models import Adapter, LocalModel
from tests.engine_scripts import Hang, HangUp, cache_entry
from tests.fake_engine import FakeEngine
from tests.registry import make_model

# --- finding models -------------------------------------------------------------


@pytest.mark.parametrize("name", ["qwen", "acme/Qwen-Test"])
def test_a_model_has_a_name_and_a_repository(qwen: LocalModel, name: str) -> None:
    assert services.resolve_model(name) == services.NamedModel(qwen)


@pytest.mark.parametrize("name", ["qwen:poet", "acme/Qwen-Test:poet"])
def test_an_adapter_is_named_after_its_model(qwen: LocalModel, name: str) -> None:
    poet = Adapter.objects.create(base=qwen, slug="poet", name="Poet", path="/p", digest="d")

    named = services.resolve_model(name)

    assert (named.model, named.adapter, named.name) == (qwen, poet, "qwen:poet")
    assert named.adapter_spec == AdapterSpec(name="poet", path="/p", digest="d")


@pytest.mark.parametrize("name", ["qwen:", "qwen:pirate", "qwen:a:b"])
def test_an_unknown_adapter_is_told_with_those_that_are_here(
    qwen: LocalModel, pirate: Adapter, name: str
) -> None:
    with pytest.raises(services.ModelNotFound, match=r"'qwen' has no adapter .* none yet"):
        services.resolve_model(name)


def test_every_model_is_followed_by_its_adapters(qwen: LocalModel, pirate: Adapter) -> None:
    assert [named.name for named in services.all_models()] == ["qwen", "tiny", "tiny:pirate"]


def test_an_unknown_model_is_told_with_those_that_are_here(qwen: LocalModel) -> None:
    with pytest.raises(services.ModelNotFound, match="name one that is here: qwen, tiny"):
        services.resolve_model("other")


def test_among_many_models_those_with_like_names_are_told(qwen: LocalModel) -> None:
    for number in range(20):
        make_model(f"phi-{number}")

    with pytest.raises(services.ModelNotFound, match=r"here: qwen, or one of \d+ more\."):
        services.resolve_model("qwenn")


def test_a_name_with_shell_characters_is_quoted_in_the_command(db: None) -> None:
    with pytest.raises(services.ModelNotFound, match=r"`mlx-hub pull 'a b;c'`"):
        services.resolve_model("a b;c")


def test_the_default_model_is_the_one_that_came_first(qwen: LocalModel) -> None:
    assert services.default_model().name == "tiny"


def test_a_hub_without_models_has_no_default(db: None) -> None:
    with pytest.raises(services.ModelNotFound, match="mlx-hub pull"):
        services.default_model()


# --- the mirror -----------------------------------------------------------------


def test_the_mirror_becomes_what_the_engine_says(fake_engine: FakeEngine, db: None) -> None:
    fake_engine.entries = {"a": cache_entry("a"), "b": cache_entry("b")}
    assert services.sync_cache_entries() == 2

    fake_engine.entries = {"b": cache_entry("b", hits=7, pinned=True), "c": cache_entry("c")}
    assert services.sync_cache_entries() == 2

    assert set(PromptCacheEntry.objects.values_list("pk", flat=True)) == {"b", "c"}
    changed = PromptCacheEntry.objects.get(pk="b")
    assert (changed.hits, changed.pinned, changed.created_at.year) == (7, True, 2023)


def test_an_empty_cache_empties_the_mirror(fake_engine: FakeEngine, db: None) -> None:
    fake_engine.entries = {"a": cache_entry("a")}
    services.sync_cache_entries()
    fake_engine.entries = {}

    assert services.sync_cache_entries() == 0
    assert not PromptCacheEntry.objects.exists()


def test_a_silent_engine_leaves_the_mirror_as_it_was(fake_engine: FakeEngine, db: None) -> None:
    fake_engine.entries = {"a": cache_entry("a")}
    services.sync_cache_entries()
    fake_engine.once(ListCache, HangUp())

    with pytest.raises(EngineUnavailable):
        services.sync_cache_entries()

    assert PromptCacheEntry.objects.count() == 1


def test_an_engine_that_says_nothing_does_not_hold_the_mirror_up(
    fake_engine: FakeEngine, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "GLANCE_TIMEOUT", 0.05)
    fake_engine.once(ListCache, Hang())

    with pytest.raises(EngineUnavailable):
        services.sync_cache_entries()


def test_evicting_drops_the_entry_and_its_row(fake_engine: FakeEngine, db: None) -> None:
    fake_engine.entries = {"a": cache_entry("a"), "b": cache_entry("b")}
    services.sync_cache_entries()

    assert services.evict(entry_id="a") == 1

    assert set(fake_engine.entries) == {"b"}
    assert [entry.pk for entry in PromptCacheEntry.objects.all()] == ["b"]


def test_pinning_changes_the_entry_and_its_row(fake_engine: FakeEngine, db: None) -> None:
    fake_engine.entries = {"a": cache_entry("a")}
    services.sync_cache_entries()

    services.pin(entry_id="a", pinned=True)

    assert fake_engine.entries["a"].pinned
    assert PromptCacheEntry.objects.get().pinned


def test_pinning_what_is_gone_says_so(fake_engine: FakeEngine, db: None) -> None:
    with pytest.raises(EngineError) as raised:
        services.pin(entry_id="gone", pinned=True)

    assert raised.value.code == "cache_entry_not_found"
