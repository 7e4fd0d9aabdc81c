"""A model that was loaded gets its warm prompts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from apps.inference import tasks, warming
from apps.inference.client import EngineUnavailable
from apps.inference.engine.protocol import Warm
from apps.inference.models import WarmPrompt
from apps.inference.services import NamedModel
from apps.inference.tests.warm_prompts import states, warmed
from apps.models.models import LocalModel
from tests.engine_scripts import HangUp, failure
from tests.fake_engine import PATIENCE, FakeEngine


def load(engine: FakeEngine, model: LocalModel, at: datetime) -> None:
    """Somebody loads the model."""
    loaded = engine._load(NamedModel(model).spec)
    engine.loaded[model.digest] = loaded.model_copy(update={"loaded_at": at.timestamp()})


def test_a_model_that_was_loaded_gets_its_prompts_warm(
    fake_engine: FakeEngine, brief: WarmPrompt, qwen: LocalModel
) -> None:
    WarmPrompt.objects.create(name="other", model=qwen, system_prompt="other")
    WarmPrompt.objects.create(name="off", model=brief.model, system_prompt="off", enabled=False)
    load(fake_engine, brief.model, timezone.now())

    assert warming.warm_after_loads() == 1

    assert warmed(fake_engine) == ["Be brief."]


def test_a_load_warms_its_prompts_once(fake_engine: FakeEngine, brief: WarmPrompt) -> None:
    load(fake_engine, brief.model, timezone.now())

    assert [warming.warm_after_loads() for _ in range(3)] == [1, 0, 0]


def test_a_prompt_that_fails_is_not_tried_until_the_next_load(
    fake_engine: FakeEngine, brief: WarmPrompt
) -> None:
    fake_engine.always(Warm, failure("context_length_exceeded", "Too long."))
    load(fake_engine, brief.model, timezone.now())
    assert [warming.warm_after_loads() for _ in range(2)] == [1, 0]

    load(fake_engine, brief.model, timezone.now() + timedelta(seconds=1))

    assert warming.warm_after_loads() == 1


def test_a_model_that_nobody_loaded_stays_unloaded(
    fake_engine: FakeEngine, brief: WarmPrompt
) -> None:
    assert warming.warm_after_loads() == 0
    assert warmed(fake_engine) == []


def test_what_loaded_the_model_to_warm_it_is_not_repeated(
    fake_engine: FakeEngine, brief: WarmPrompt
) -> None:
    load(fake_engine, brief.model, datetime.now(UTC))
    warming.warm_prompt(prompt=brief)

    assert warming.warm_after_loads() == 0


def test_what_is_being_warmed_is_left_alone(fake_engine: FakeEngine, brief: WarmPrompt) -> None:
    load(fake_engine, brief.model, timezone.now())
    brief.warming_began()

    assert warming.warm_after_loads() == 0


def test_an_engine_that_dies_meanwhile_is_not_asked_for_the_others(
    fake_engine: FakeEngine, brief: WarmPrompt, kind: WarmPrompt
) -> None:
    fake_engine.once(Warm, HangUp())
    load(fake_engine, brief.model, timezone.now())

    with pytest.raises(EngineUnavailable):
        warming.warm_after_loads()

    assert states() == {"brief": "failed", "kind": "idle"}


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    stop = threading.Event()
    yield stop
    stop.set()


@pytest.mark.parametrize("trouble", [EngineUnavailable("down"), ValueError("a bug"), None])
def test_the_worker_keeps_looking_whatever_happens(
    stop: threading.Event, monkeypatch: pytest.MonkeyPatch, trouble: Exception | None
) -> None:
    looks = threading.Semaphore(0)

    def look() -> None:
        looks.release()
        if trouble is not None:
            raise trouble

    monkeypatch.setattr(tasks, "LOADS_INTERVAL", 0.001)
    monkeypatch.setattr(tasks, "warm_after_loads", look)
    thread = threading.Thread(target=tasks.keep_warming_after_loads, args=(stop,))

    thread.start()
    assert looks.acquire(timeout=PATIENCE)
    assert looks.acquire(timeout=PATIENCE)
    stop.set()
    thread.join(PATIENCE)

    assert not thread.is_alive()
