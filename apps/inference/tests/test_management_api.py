"""The prompt cache under /admin/cache/prompts."""

from __future__ import annotations

from typing import Any

import pytest

from apps.inference.engine.protocol import GetCacheStats, ListCache, Warm
from apps.inference.models import PromptCacheEntry
from apps.inference.tests.conftest import Caller
from apps.models.models import LocalModel
from tests.engine_scripts import cache_entry, failure
from tests.fake_engine import FakeEngine

CACHE = "/admin/cache/prompts"


# --- it works -----------------------------------------------------------------


def test_entries_are_listed(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.entries = {"a": cache_entry("a", hits=3), "b": cache_entry("b")}

    answer = call("GET", CACHE)

    assert answer.status == 200
    first, second = answer.json["entries"]
    assert (first["id"], second["id"]) == ("a", "b")
    assert first["hits"] == 3
    assert first["created_at"] == "2023-11-14T22:13:20Z"


def test_statistics_tell_hits_and_sizes(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.entries = {"a": cache_entry("a", on_disk=False)}
    fake_engine.stats = {"total_hits": 3, "total_misses": 1, "hit_rate": 0.75}

    stats = call("GET", f"{CACHE}/stats").json

    assert stats["memory_entries"] == 1
    assert stats["disk_entries"] == 0
    assert stats["total_hits"] == 3
    assert stats["total_misses"] == 1
    assert stats["hit_rate"] == 0.75
    assert stats["response_max_bytes"] == 0
    assert "event" not in stats


def test_statistics_tell_how_the_response_cache_fares(
    call: Caller, fake_engine: FakeEngine
) -> None:
    fake_engine.stats |= {"response_entries": 2, "response_hits": 5, "response_max_bytes": 1024}

    stats = call("GET", f"{CACHE}/stats").json

    assert (stats["response_entries"], stats["response_hits"]) == (2, 5)
    assert stats["response_max_bytes"] == 1024


def test_a_system_prompt_is_warmed(call: Caller, fake_engine: FakeEngine, qwen: LocalModel) -> None:
    body = {"model": "acme/Qwen-Test", "system_prompt": "Be brief.", "pin": True}

    answer = call("POST", f"{CACHE}/warmup", body)

    assert answer.status == 200
    assert answer.json == {
        "id": "entry1",
        "model": "qwen",
        "tokens": 100,
        "cached_tokens": 0,
        "seconds": 0.2,
        "pinned": True,
    }
    request = fake_engine.wait_for_call(Warm).request
    assert (request.system_prompt, request.pinned) == ("Be brief.", True)


def test_warming_without_a_model_takes_the_first(
    call: Caller, fake_engine: FakeEngine, qwen: LocalModel
) -> None:
    assert call("POST", f"{CACHE}/warmup", {"system_prompt": "x"}).json["model"] == "tiny"


def test_a_models_draft_goes_with_the_warm_up(
    call: Caller, fake_engine: FakeEngine, qwen: LocalModel
) -> None:
    LocalModel.objects.filter(slug="tiny").update(draft=qwen)

    assert call("POST", f"{CACHE}/warmup", {"system_prompt": "x"}).status == 200

    assert fake_engine.wait_for_call(Warm).request.model.draft.name == "qwen"


def test_one_entry_is_dropped(call: Caller, fake_engine: FakeEngine, db: None) -> None:
    fake_engine.entries = {"a": cache_entry("a"), "b": cache_entry("b")}

    answer = call("DELETE", f"{CACHE}/a")

    assert answer.status == 200
    assert answer.json == {"evicted": 1}
    assert set(fake_engine.entries) == {"b"}


def test_all_entries_are_dropped(call: Caller, fake_engine: FakeEngine, db: None) -> None:
    fake_engine.entries = {"a": cache_entry("a"), "b": cache_entry("b", pinned=True)}

    assert call("DELETE", CACHE).json == {"evicted": 2}
    assert fake_engine.entries == {}
    assert not PromptCacheEntry.objects.exists()


# --- validation and errors ------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "system_prompt"),
        ({"system_prompt": ""}, "system_prompt"),
        ({"system_prompt": ["x"]}, "system_prompt"),
        ({"system_prompt": "x", "pin": "yes"}, "pin"),
        ({"system_prompt": "x", "pinned": True}, "pinned"),
        ({"system_prompt": "x", "model": 1}, "model"),
    ],
)
def test_a_wrong_field_is_named(
    call: Caller, fake_engine: FakeEngine, body: dict[str, Any], param: str
) -> None:
    answer = call("POST", f"{CACHE}/warmup", body)

    assert answer.status == 400
    assert answer.error["param"] == param


def test_warming_an_unknown_model_is_not_found(
    call: Caller, fake_engine: FakeEngine, tiny: LocalModel
) -> None:
    answer = call("POST", f"{CACHE}/warmup", {"system_prompt": "x", "model": "gone"})

    assert answer.status == 404
    assert answer.error["code"] == "model_not_found"


def test_warming_on_a_hub_without_models_says_how_to_get_one(
    call: Caller, fake_engine: FakeEngine, db: None
) -> None:
    answer = call("POST", f"{CACHE}/warmup", {"system_prompt": "x"})

    assert answer.status == 404
    assert "mlx-hub pull" in answer.error["message"]


def test_a_prompt_beyond_the_context_is_refused(
    call: Caller, fake_engine: FakeEngine, tiny: LocalModel
) -> None:
    fake_engine.once(Warm, failure("context_length_exceeded", "Too long."))

    answer = call("POST", f"{CACHE}/warmup", {"system_prompt": "x"})

    assert answer.status == 400
    assert answer.error["code"] == "context_length_exceeded"


def test_an_entry_that_is_gone_is_not_found(
    call: Caller, fake_engine: FakeEngine, db: None
) -> None:
    answer = call("DELETE", f"{CACHE}/gone")

    assert answer.status == 404
    assert answer.error["code"] == "cache_entry_not_found"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", CACHE), ("GET", f"{CACHE}/stats"), ("DELETE", CACHE)]
)
def test_without_an_engine_each_call_says_so(
    call: Caller, fake_engine: FakeEngine, method: str, path: str
) -> None:
    fake_engine.stop()

    answer = call(method, path)

    assert answer.status == 503
    assert answer.error["code"] == "engine_unavailable"
    assert "Retry-After" in answer.headers


@pytest.mark.parametrize(("kind", "path"), [(ListCache, CACHE), (GetCacheStats, f"{CACHE}/stats")])
def test_the_engines_failure_is_passed_on(
    call: Caller, fake_engine: FakeEngine, kind: Any, path: str
) -> None:
    fake_engine.once(kind, failure("internal_error", "It broke."))

    answer = call("GET", path)

    assert answer.status == 500
    assert answer.error["message"] == "It broke."
