"""What the worker does by itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from huey import MemoryHuey
from huey.exceptions import RetryTask

from apps.inference import heartbeat, tasks
from apps.inference.engine.protocol import Warm
from apps.inference.models import PromptCacheEntry, WarmPrompt
from apps.models.models import LocalModel
from tests.fake_engine import PATIENCE, FakeEngine, cache_entry, failure


@pytest.fixture(autouse=True)
def queue(monkeypatch: pytest.MonkeyPatch) -> MemoryHuey:
    """A task queue of this test's own."""
    queue = MemoryHuey()
    monkeypatch.setattr(heartbeat, "HUEY", queue)
    return queue


@pytest.fixture
def prompts(tiny: LocalModel) -> list[WarmPrompt]:
    return [
        WarmPrompt.objects.create(name=name, model=tiny, system_prompt=name)
        for name in ("brief", "kind")
    ]


# --- warming ----------------------------------------------------------------------


def test_the_enabled_prompts_are_warmed(
    fake_engine: FakeEngine, prompts: list[WarmPrompt], tiny: LocalModel
) -> None:
    WarmPrompt.objects.create(name="off", model=tiny, system_prompt="off", enabled=False)

    tasks.warm_enabled_prompts.call_local()

    warmed = [call.request.system_prompt for call in fake_engine.calls_of(Warm)]
    assert warmed == ["brief", "kind"]


def test_a_prompt_that_fails_does_not_stop_the_others(
    fake_engine: FakeEngine, prompts: list[WarmPrompt]
) -> None:
    fake_engine.once(Warm, failure("context_length_exceeded", "Too long."))

    tasks.warm_enabled_prompts.call_local()

    for prompt in prompts:
        prompt.refresh_from_db()
    assert [prompt.last_error for prompt in prompts] == ["Too long.", ""]


def test_an_engine_that_is_not_up_yet_is_tried_again(
    fake_engine: FakeEngine, prompts: list[WarmPrompt]
) -> None:
    fake_engine.stop()

    with pytest.raises(RetryTask) as raised:
        tasks.warm_enabled_prompts.call_local()

    assert raised.value.delay == tasks.ENGINE_RETRY_DELAY


# --- the mirror -------------------------------------------------------------------


def test_the_mirror_is_kept_young(fake_engine: FakeEngine, db: None) -> None:
    fake_engine.entries = {"a": cache_entry("a")}

    tasks.sync_prompt_cache.call_local()

    assert PromptCacheEntry.objects.count() == 1


def test_an_engine_that_is_down_does_not_fail_the_mirror(fake_engine: FakeEngine, db: None) -> None:
    fake_engine.stop()

    tasks.sync_prompt_cache.call_local()


# --- the heartbeat ----------------------------------------------------------------


def test_there_is_no_beat_before_the_first() -> None:
    assert heartbeat.last_beat_age() is None


def test_a_beat_is_seen_by_others() -> None:
    heartbeat.beat()

    age = heartbeat.last_beat_age()
    assert age is not None
    assert age < PATIENCE


@pytest.fixture
def beating() -> Iterator[threading.Event]:
    """Stops this test's heart, whatever happens."""
    stop = threading.Event()
    yield stop
    stop.set()


def test_the_heart_beats_until_it_is_stopped(
    beating: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = threading.Semaphore(0)
    monkeypatch.setattr(heartbeat, "INTERVAL", 0.001)
    monkeypatch.setattr(heartbeat, "beat", beats.release)
    thread = threading.Thread(target=heartbeat.keep_beating, args=(beating,))

    thread.start()
    assert beats.acquire(timeout=PATIENCE)
    assert beats.acquire(timeout=PATIENCE)
    beating.set()
    thread.join(PATIENCE)

    assert not thread.is_alive()


def test_a_queue_that_fails_is_tried_again(
    beating: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = threading.Semaphore(0)
    outcomes = iter([OSError("no queue"), None])

    def beat() -> None:
        outcome = next(outcomes, None)
        if outcome is not None:
            raise outcome
        beats.release()

    monkeypatch.setattr(heartbeat, "INTERVAL", 0.001)
    monkeypatch.setattr(heartbeat, "beat", beat)
    thread = threading.Thread(target=heartbeat.keep_beating, args=(beating,))

    thread.start()
    assert beats.acquire(timeout=PATIENCE)
    beating.set()
    thread.join(PATIENCE)


def test_a_worker_process_begins_its_life_once() -> None:
    life = tasks._ProcessLife()

    assert [life.begins(), life.begins(), life.begins()] == [True, False, False]
