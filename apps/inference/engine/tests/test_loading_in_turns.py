"""Loads and answers side by side, with real forward passes of tiny models."""

from __future__ import annotations

import gc

import mlx.core as mx
import pytest

from apps.inference.engine import intake, protocol
from apps.inference.engine.protocol import DraftSpec
from apps.inference.engine.tests.harness import Asked, SteppedEngine, chat


@pytest.fixture
def engine(profile, tmp_path, monkeypatch):
    # One part of a load per turn.
    monkeypatch.setattr(intake, "_LOAD_SECONDS", 0.0)
    stepped = SteppedEngine(profile, tmp_path)
    yield stepped
    stepped.engine._cache.close()


def loaded(engine: SteppedEngine) -> list[str]:
    return [model.name for model in engine.engine.snapshot.status.models]


def text_so_far(asked: Asked) -> str:
    return "".join(e.text for e in asked.events if isinstance(e, protocol.Delta))


def test_answers_go_on_between_the_parts_of_a_load(engine, tiny, other_tiny):
    running = engine.ask(chat(tiny, "hello", temperature=1.0, seed=1, max_tokens=200))
    while not text_so_far(running):
        engine.engine.turn(wait=False)
    before = len(running.events)
    waiting = engine.submit(chat(other_tiny, "hello", max_tokens=3))
    while engine.engine.snapshot.status.loading is not None:
        engine.engine.turn(wait=False)
    assert len(running.events) - before >= 5
    assert not running.finished
    engine.finish(waiting)


def test_an_answer_beside_a_load_is_the_answer_alone(engine, profile, tmp_path, tiny, other_tiny):
    request = chat(tiny, "hello", temperature=1.0, seed=1, max_tokens=40)
    alone = SteppedEngine(profile, tmp_path / "alone").answer(request)
    beside = engine.ask(request)
    other = engine.submit(protocol.LoadModel(model=other_tiny))
    engine.finish(beside, other)
    assert beside.text == alone.text


def test_the_status_tells_what_is_loaded_and_how_far_it_is(engine, tiny):
    asked = engine.submit(chat(tiny, "hello"))
    shares = []
    while (status := engine.engine.snapshot.status).loading is not None:
        assert status.loading == "tiny"
        assert status.queued == 1
        shares.append(status.loading_share)
        engine.engine.turn(wait=False)
    assert shares == sorted(shares)
    assert shares[0] < 0.2
    assert shares[-1] > 0.9
    engine.finish(asked)
    assert any(isinstance(event, protocol.Loading) for event in asked.events)


def test_a_load_that_nobody_waits_for_any_more_frees_what_it_had(engine, tiny):
    before = _settled_memory()
    asked = engine.submit(chat(tiny, "hello"))
    for _ in range(10):
        engine.engine.turn(wait=False)
    assert mx.get_active_memory() > before
    asked.call.cancel()
    engine.engine.turn(wait=False)
    assert engine.engine.snapshot.status.loading is None
    assert loaded(engine) == []
    assert _settled_memory() == pytest.approx(before, abs=4096)
    assert engine.answer(chat(tiny, "hello")).finished


def test_requests_that_wait_for_a_model_fill_the_queue(profile, tmp_path, tiny):
    engine = SteppedEngine(profile, tmp_path, max_queue=2)
    asked = [Asked() for _ in range(3)]
    for one in asked:
        engine.engine.submit(chat(tiny, "hello", max_tokens=2), one.call)
    engine.finish(*asked)
    assert [one.last.event for one in asked] == ["done", "done", "error"]
    assert asked[2].last.code == "queue_full"


def test_stopping_ends_what_waits_for_a_model(engine, tiny):
    asked = engine.submit(chat(tiny, "hello"))
    engine.engine.stop()
    engine.engine.turn(wait=False)
    assert asked.last.code == "shutting_down"


def test_unloading_returns_the_memory(profile, tmp_path, tiny):
    engine = SteppedEngine(profile, tmp_path, prompt_cache={"max_entries": 0})
    engine.answer(chat(tiny, "hello"))
    engine.answer(protocol.UnloadModel(digest=tiny.digest))
    before = _settled_memory()
    for _ in range(3):
        ready = engine.answer(protocol.LoadModel(model=tiny)).last
        assert isinstance(ready, protocol.ModelReady)
        taken = mx.get_active_memory() - before
        assert taken == pytest.approx(ready.model.weights_bytes, rel=0.05)
        assert taken == pytest.approx(ready.model.measured_bytes, rel=0.05)
        engine.answer(chat(tiny, "hello", max_tokens=5))
        engine.answer(protocol.UnloadModel(digest=tiny.digest))
        assert mx.get_active_memory() - before < 0.03 * taken


def test_the_next_load_expects_what_the_last_one_took(profile, tmp_path, tiny):
    file = tmp_path / "loads.json"
    first = SteppedEngine(profile, tmp_path / "first", measurements=file)
    took = first.answer(protocol.LoadModel(model=tiny)).last.model.measured_bytes
    asked = SteppedEngine(profile, tmp_path / "second", measurements=file).answer(
        protocol.LoadModel(model=tiny)
    )
    expected = {e.total_bytes for e in asked.events if isinstance(e, protocol.Loading)}
    assert expected - {0} == {took}


def test_a_model_comes_with_its_draft(engine, tiny, other_tiny):
    draft = DraftSpec(name="other", path=other_tiny.path, digest=other_tiny.digest)
    ready = engine.answer(protocol.LoadModel(model=tiny.model_copy(update={"draft": draft}))).last
    assert ready.model.draft == "other"
    assert ready.model.draft_problem == ""
    assert loaded(engine) == ["tiny", "other"]
    engine.answer(protocol.UnloadModel(digest=tiny.digest))
    assert loaded(engine) == []


def test_a_draft_that_is_missing_costs_only_the_draft(engine, tiny, tmp_path):
    draft = DraftSpec(name="gone", path=str(tmp_path / "gone"), digest="gone")
    model = tiny.model_copy(update={"draft": draft})
    assert engine.answer(chat(model, "hello")).last.event == "done"
    (described,) = engine.engine.snapshot.status.models
    assert described.draft == ""
    assert "gone could not be loaded" in described.draft_problem


def _settled_memory() -> int:
    gc.collect()
    mx.clear_cache()
    return mx.get_active_memory()
