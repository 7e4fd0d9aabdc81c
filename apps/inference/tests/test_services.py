"""The mirror of the prompt cache, warming, and finding models."""

from __future__ import annotations

import pytest

from apps.inference import services
from apps.inference.client import EngineError, EngineUnavailable
from apps.inference.engine.protocol import ListCache, Prefill, Warm
from apps.inference.models import PromptCacheEntry, WarmPrompt
from apps.models.models import LocalModel
from tests.fake_engine import FakeEngine, Hang, HangUp, cache_entry, failure

# --- finding models -------------------------------------------------------------


@pytest.mark.parametrize("name", ["qwen", "acme/Qwen-Test"])
def test_a_model_has_a_name_and_a_repository(qwen: LocalModel, name: str) -> None:
    assert services.resolve_model(name) == qwen


def test_an_unknown_model_is_told_with_those_that_are_here(qwen: LocalModel) -> None:
    with pytest.raises(services.ModelNotFound, match="name one that is here: qwen, tiny"):
        services.resolve_model("other")


def test_a_name_with_shell_characters_is_quoted_in_the_command(db: None) -> None:
    with pytest.raises(services.ModelNotFound, match=r"`mlx-hub pull 'a b;c'`"):
        services.resolve_model("a b;c")


def test_the_default_model_is_the_one_that_came_first(qwen: LocalModel) -> None:
    assert services.default_model().slug == "tiny"


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


# --- warming --------------------------------------------------------------------


def test_warming_tells_how_far_it_is(fake_engine: FakeEngine, tiny: LocalModel) -> None:
    heard: list[object] = []

    warmed = services.warm(
        model=tiny, system_prompt="Be brief.", pinned=True, on_event=heard.append
    )

    assert warmed.tokens == 100
    assert Prefill(done=100, total=100) in heard
    assert fake_engine.entries[warmed.entry_id].pinned


def test_a_saved_prompt_remembers_when_it_was_warmed(
    fake_engine: FakeEngine, tiny: LocalModel
) -> None:
    prompt = WarmPrompt.objects.create(
        name="brief", model=tiny, system_prompt="Be brief.", last_error="It failed."
    )

    services.warm_saved(prompt=prompt)

    prompt.refresh_from_db()
    assert prompt.last_warmed_at is not None
    assert prompt.last_error == ""


def test_a_saved_prompt_remembers_why_it_failed(fake_engine: FakeEngine, tiny: LocalModel) -> None:
    prompt = WarmPrompt.objects.create(name="brief", model=tiny, system_prompt="Be brief.")
    fake_engine.once(Warm, failure("context_length_exceeded", "Too long."))

    with pytest.raises(EngineError, match=r"Too long\."):
        services.warm_saved(prompt=prompt)

    prompt.refresh_from_db()
    assert prompt.last_warmed_at is None
    assert prompt.last_error == "Too long."
