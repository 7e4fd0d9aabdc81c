"""One look at the engine: up, down, stalled, and its memory by owner."""

from __future__ import annotations

from typing import Any

import pytest

from apps.inference import services
from apps.inference.engine.protocol import GetCacheStats, GetStatus, ModelSpec
from apps.inference.snapshot import MemoryUse, look_at_engine
from tests.engine_scripts import Hang, failure
from tests.fake_engine import FakeEngine


def test_an_idle_engine_is_idle(fake_engine: FakeEngine) -> None:
    seen = look_at_engine()
    assert seen.state == "idle"
    assert seen.error is None


@pytest.mark.parametrize(
    ("says", "state"),
    [
        ({"active": 1}, "busy"),
        ({"queued": 3}, "busy"),
        ({"loading": "tiny", "active": 1, "loop_age": 90.0}, "loading"),
        ({"loop_age": 31.0}, "stalled"),
        ({"active": 1, "last_step_age": 31.0}, "stalled"),
        ({"active": 0, "last_step_age": 3600.0}, "idle"),
        ({"active": 1, "last_step_age": None}, "busy"),
    ],
)
def test_the_state_follows_what_the_engine_says(
    fake_engine: FakeEngine, says: dict[str, Any], state: str
) -> None:
    fake_engine.status.update(says)
    assert look_at_engine().state == state


def test_an_engine_that_does_not_listen_is_down(settings: Any, tmp_path: Any) -> None:
    settings.HUB = settings.HUB.model_copy(update={"home": tmp_path})
    seen = look_at_engine()
    assert seen.state == "down"
    assert seen.memory is None
    assert seen.error is not None
    assert "mlx-hub up" in seen.error.message


def test_an_engine_that_says_nothing_is_down_after_a_glance(
    fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "GLANCE_TIMEOUT", 0.05)
    fake_engine.once(GetStatus, Hang())
    assert look_at_engine().state == "down"


def test_an_engine_that_fails_half_way_is_down(fake_engine: FakeEngine) -> None:
    fake_engine.once(GetCacheStats, failure("internal_error", "It broke."))
    seen = look_at_engine()
    assert seen.state == "down"
    assert seen.error is not None
    assert seen.error.message == "It broke."


def test_memory_is_told_by_owner(fake_engine: FakeEngine) -> None:
    fake_engine._load(ModelSpec(name="tiny", path="/models/tiny", digest="d"))
    fake_engine.status["active_memory_bytes"] = 1_500_000
    fake_engine.stats["memory_bytes"] = 200_000
    memory = look_at_engine().memory
    assert memory is not None
    assert memory.weights == 1_000_000
    assert memory.prompt_cache == 200_000
    assert memory.other == 300_000
    assert memory.ceiling == 6 * 1024**3


def test_memory_that_owners_count_above_the_total_leaves_nothing_for_others() -> None:
    memory = MemoryUse(weights=10, live_kv=5, prompt_cache=5, total=12, ceiling=24)
    assert memory.other == 0
    assert memory.fraction == 0.5


def test_memory_without_a_ceiling_has_no_share_of_it() -> None:
    assert MemoryUse(weights=1, live_kv=0, prompt_cache=0, total=1, ceiling=0).fraction == 0.0
