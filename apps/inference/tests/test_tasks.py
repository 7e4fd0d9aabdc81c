"""What the worker does by itself, beside warming: the mirror and the heartbeat."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from huey import MemoryHuey

from apps.inference import heartbeat, tasks
from apps.inference.models import PromptCacheEntry
from tests.engine_scripts import cache_entry
from tests.fake_engine import PATIENCE, FakeEngine


@pytest.fixture(autouse=True)
def queue(monkeypatch: pytest.MonkeyPatch) -> MemoryHuey:
    """A task queue of this test's own."""
    queue = MemoryHuey()
    monkeypatch.setattr(heartbeat, "HUEY", queue)
    return queue


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
