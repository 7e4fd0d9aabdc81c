"""What inference says and does when a model is to be deleted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from apps.inference.engine.protocol import EvictCache, UnloadModel
from apps.inference.keys.models import ApiKey
from apps.inference.models import PromptCacheEntry, WarmPrompt
from apps.models import deleting
from apps.models.consequences import deletion_of
from apps.models.errors import ModelInUse
from apps.models.models import Adapter, LocalModel
from tests.engine_scripts import cache_entry, failure
from tests.fake_engine import FakeEngine
from tests.registry import make_model

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _models_dir(fake_engine: FakeEngine, settings: Settings) -> None:
    """Of the data folder that the scripted engine has."""
    Path(settings.HUB.models_dir).mkdir()


def cached(model: LocalModel) -> PromptCacheEntry:
    """The mirror of one cached prompt."""
    entry = cache_entry("a", model_digest=model.digest)
    fields = entry.model_dump() | {
        name: datetime(2026, 1, 1, tzinfo=UTC) for name in ("created_at", "last_used_at")
    }
    return PromptCacheEntry.objects.create(**fields)


def told(model: LocalModel, adapter: Adapter | None = None) -> str:
    return " ".join(each.text for each in deletion_of(model, adapter).consequences)


def test_warm_prompts_keys_and_cached_prompts_are_told(tiny: LocalModel) -> None:
    WarmPrompt.objects.create(name="Greeting", model=tiny, system_prompt="Hi")
    key = ApiKey.objects.create(name="laptop", public_id="x", digest="d")
    key.allowed_models.add(tiny)
    cached(tiny)

    text = told(tiny)

    assert "Warm prompts go with it: Greeting." in text
    assert "may use it, and will not any more: laptop." in text
    assert "Its cached KV is dropped: 1 prompt" in text


def test_an_adapters_own_warm_prompts_are_told(tiny: LocalModel, pirate: Adapter) -> None:
    WarmPrompt.objects.create(name="Plain", model=tiny, system_prompt="Hi")
    WarmPrompt.objects.create(name="Ahoy", model=tiny, adapter=pirate, system_prompt="Hi")

    text = told(tiny, pirate)

    assert "Ahoy" in text
    assert "Plain" not in text


def test_a_deleted_model_is_unloaded_and_its_cached_prompts_dropped(
    tiny: LocalModel, fake_engine: FakeEngine
) -> None:
    cached(tiny)

    deleting.delete_model(model=tiny)

    asked = [call.request for call in fake_engine.calls]
    assert UnloadModel(digest="digest-tiny") in asked
    assert EvictCache(entry_id="a") in asked


def test_a_copy_under_another_name_keeps_the_cached_prompts(
    tiny: LocalModel, fake_engine: FakeEngine
) -> None:
    make_model("copy", digest=tiny.digest)
    cached(tiny)

    deleting.delete_model(model=tiny)

    assert PromptCacheEntry.objects.exists()


def test_a_model_that_answers_stays(tiny: LocalModel, fake_engine: FakeEngine) -> None:
    fake_engine.once(UnloadModel, failure("model_busy", "Tiny is answering. Stop the answer."))

    with pytest.raises(ModelInUse, match="Stop the answer"):
        deleting.delete_model(model=tiny)

    assert LocalModel.objects.filter(slug="tiny").exists()


def test_one_that_is_not_loaded_goes(tiny: LocalModel, fake_engine: FakeEngine) -> None:
    fake_engine.once(UnloadModel, failure("model_not_loaded", "The model is not loaded."))

    deleting.delete_model(model=tiny)

    assert not LocalModel.objects.exists()
