"""Who waits, who gives way, and who is out of time, through the whole engine."""

from __future__ import annotations

import pytest

from apps.inference.engine import protocol
from apps.inference.engine import sequence as sequence_module
from apps.inference.engine.tests.harness import SteppedEngine, chat


def asking(request: protocol.Generate, **fields) -> protocol.Generate:
    return request.model_copy(update=fields)


@pytest.fixture
def engine(profile, tmp_path, tiny):
    engine = SteppedEngine(profile, tmp_path, max_batch=1)
    engine.answer(chat(tiny, "load"))
    return engine


def deltas(asked) -> int:
    return sum(isinstance(event, protocol.Delta) for event in asked.events)


@pytest.mark.parametrize(
    "sampler",
    [{"temperature": 0.0}, {"temperature": 0.8, "seed": 3}, {"temperature": 0.8, "seed": 3,
     "frequency_penalty": 1.5, "logprobs": 1}, {"temperature": 0.8, "seed": 3,
     "grammar": protocol.Grammar(kind="regex", text="[a-z ]{35,60}")}],
    ids=["greedy", "seeded", "penalised", "constrained"],
)  # fmt: skip
def test_batch_work_that_gave_way_ends_as_if_nothing_had_happened(engine, tiny, sampler):
    request = asking(chat(tiny, "a long story", max_tokens=40, **sampler), priority="batch")
    undisturbed = engine.answer(request)
    asked = engine.ask(request)
    while deltas(asked) < 10:
        engine.engine.turn(wait=False)
    person = engine.answer(chat(tiny, "quickly", max_tokens=5))
    assert person.finished
    assert not asked.finished
    engine.finish(asked)
    assert asked.text == undisturbed.text
    assert asked.last.usage.completion_tokens == undisturbed.last.usage.completion_tokens
    logprobs = [
        [one for e in a.events if isinstance(e, protocol.Delta) for one in e.logprobs]
        for a in (asked, undisturbed)
    ]
    assert [one.text for one in logprobs[0]] == [one.text for one in logprobs[1]]
    prompts = [e for e in asked.events if isinstance(e, protocol.Prompt)]
    assert len(prompts) == 1


def test_batch_work_that_gave_way_computes_little_again(engine, tiny):
    asked = engine.ask(asking(chat(tiny, "x" * 200, max_tokens=40), priority="batch"))
    while deltas(asked) < 10:
        engine.engine.turn(wait=False)
    computed = engine.engine._cache.stats().tokens_computed
    engine.answer(chat(tiny, "quickly", max_tokens=5))
    engine.finish(asked)
    prompts = 2 + len("<|user|>quickly<|end|><|assistant|>")
    assert engine.engine._cache.stats().tokens_computed - computed < prompts


def test_answers_that_outgrow_the_memory_take_turns_and_all_end(
    profile, tmp_path, tiny, monkeypatch
):
    monkeypatch.setattr(sequence_module, "_USUAL_ANSWER", 8)
    monkeypatch.setattr(sequence_module, "_AHEAD", 4)
    engine = SteppedEngine(profile, tmp_path)
    requests = [chat(tiny, f"story {i}", max_tokens=60) for i in range(4)]
    alone = [engine.answer(request).text for request in requests]
    # Room for two of the four when they are long.
    monkeypatch.setattr(engine.engine._pool, "kv_budget", lambda digest: 160)
    engine.engine._scheduler._kv_budget = lambda digest: 160
    asked = [engine.ask(request) for request in requests]
    engine.finish(*asked)
    assert [one.text for one in asked] == alone


def test_an_answer_that_is_not_done_by_its_deadline_says_so(engine, tiny, monkeypatch):
    asked = engine.ask(asking(chat(tiny, "go on", max_tokens=400), deadline_seconds=60))
    late = next(iter(engine.engine._jobs)).sequence.deadline + 0.1
    monkeypatch.setattr("apps.inference.engine.core.time.monotonic", lambda: late)
    engine.engine.turn(wait=False)
    assert asked.last.code == "deadline_exceeded"
    assert engine.engine._scheduler.active == 0


def test_a_deadline_holds_while_waiting_too(engine, tiny, monkeypatch):
    running = engine.ask(chat(tiny, "go on", max_tokens=400))
    waiting = engine.ask(asking(chat(tiny, "me too"), deadline_seconds=60))
    late = max(job.sequence.deadline or 0 for job in engine.engine._jobs) + 0.1
    monkeypatch.setattr("apps.inference.engine.core.time.monotonic", lambda: late)
    engine.engine.turn(wait=False)
    assert waiting.last.code == "deadline_exceeded"
    assert not running.finished


def test_a_warm_up_gives_way_to_whoever_waits_for_an_answer(engine, tiny):
    warm = engine.ask(protocol.Warm(model=tiny, system_prompt="y" * 400))
    asked = engine.ask(chat(tiny, "quickly", max_tokens=3))
    engine.finish(asked)
    assert not warm.finished
    engine.finish(warm)
    assert warm.last.event == "warmed"
