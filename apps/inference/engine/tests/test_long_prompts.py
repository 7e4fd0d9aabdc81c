"""A long prompt holds up nobody but its own answer."""

from __future__ import annotations

import threading

import pytest

from apps.inference.engine import long_prompts, protocol
from apps.inference.engine.tests.harness import Asked, SteppedEngine, chat

PATIENCE = 60.0


@pytest.fixture
def engine(profile, tmp_path, tiny, monkeypatch):
    """A prompt is long here from a hundred characters on."""
    monkeypatch.setattr(long_prompts, "LONG_CHARACTERS", 100)
    engine = SteppedEngine(profile, tmp_path, max_queue=2)
    engine.answer(chat(tiny, "load"))
    return engine


@pytest.fixture
def slow_reading(monkeypatch):
    """Reading waits until the event is set."""
    go_on = threading.Event()
    read = long_prompts.prompt_of

    def wait_and_read(*args):
        assert go_on.wait(PATIENCE)
        return read(*args)

    monkeypatch.setattr(long_prompts, "prompt_of", wait_and_read)
    yield go_on
    go_on.set()


def finish(engine: SteppedEngine, asked: Asked) -> None:
    """With turns that wait for what is read beside them."""
    while not asked.finished:
        engine.engine.turn()


def test_a_long_prompt_is_answered_like_any_other(engine, profile, tmp_path, tiny, monkeypatch):
    request = chat(tiny, "a long question " * 10, system="Be brief. " * 10)
    asked = engine.submit(request)
    finish(engine, asked)
    monkeypatch.setattr(long_prompts, "LONG_CHARACTERS", 10_000)
    other = SteppedEngine(profile, tmp_path / "other").answer(request)
    assert asked.text == other.text
    assert asked.last.usage == other.last.usage


def test_answers_go_on_while_a_long_prompt_is_read(engine, tiny, slow_reading):
    long = engine.submit(chat(tiny, "x" * 200))
    assert engine.answer(chat(tiny, "short")).text
    assert long.events == []
    slow_reading.set()
    finish(engine, long)
    assert long.text


def test_a_prompt_longer_than_the_context_is_refused_with_the_numbers(engine, tiny):
    asked = engine.submit(chat(tiny, "x" * 2000))
    finish(engine, asked)
    assert asked.last.code == "context_length_exceeded"


def test_prompts_that_are_being_read_count_as_waiting(engine, tiny, slow_reading):
    waiting = [engine.submit(chat(tiny, letter * 200)) for letter in "ab"]
    assert engine.submit(chat(tiny, "one too many")).last.code == "queue_full"
    slow_reading.set()
    for asked in waiting:
        finish(engine, asked)


def test_a_caller_who_leaves_while_its_prompt_is_read_costs_nothing(engine, tiny, slow_reading):
    asked = engine.submit(chat(tiny, "x" * 200))
    asked.call.cancel()
    slow_reading.set()
    after = engine.submit(chat(tiny, "y" * 200))
    finish(engine, after)
    assert asked.events == []


def test_a_prompt_that_breaks_its_reading_fails_alone(engine, tiny, monkeypatch):
    def broken(*args):
        raise ValueError("no")

    monkeypatch.setattr(long_prompts, "prompt_of", broken)
    asked = engine.submit(chat(tiny, "x" * 200))
    finish(engine, asked)
    assert asked.last.code == "internal_error"
    assert engine.answer(chat(tiny, "short")).text


def test_what_is_being_read_when_the_engine_stops_is_told_so(engine, tiny, slow_reading):
    asked = engine.submit(chat(tiny, "x" * 200))
    engine.engine.stop()
    engine.engine.run()
    assert isinstance(asked.last, protocol.Failed)
    assert asked.last.code == "shutting_down"
