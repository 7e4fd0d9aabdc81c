"""The engine from request to events, with real forward passes of a tiny model."""

import mlx.core as mx
import pytest
from mlx_lm.generate import generate_step

from apps.inference.engine import protocol
from apps.inference.engine.ledger import SHORT_CONVERSATION
from apps.inference.engine.tests.harness import Asked, SteppedEngine, chat
from apps.inference.engine.tests.tiny import CONTEXT

SYSTEM = "You are a patient teacher of geography and you answer briefly."


@pytest.fixture
def engine(profile, tmp_path):
    stepped = SteppedEngine(profile, tmp_path)
    yield stepped
    stepped.engine._cache.close()


def test_a_greedy_answer_is_what_mlx_lm_generates(engine, tiny):
    asked = engine.answer(chat(tiny, "hello", max_tokens=10))
    pooled = engine.engine._pool[tiny.digest]
    prompt = pooled.formatter.prompt([protocol.Message(role="user", content="hello")]).tokens
    expected = [
        int(token)
        for token, _ in generate_step(mx.array(prompt), pooled.loaded.model, max_tokens=10)
    ]
    ends = pooled.loaded.tokenizer.eos_token_ids
    until = next((i for i, token in enumerate(expected) if token in ends), len(expected))
    assert asked.text == pooled.loaded.tokenizer.decode(expected[:until]).rstrip("�")


def test_every_answer_ends_with_a_reason_and_its_usage(engine, tiny):
    done = engine.answer(chat(tiny, "hello", max_tokens=5)).last
    assert isinstance(done, protocol.Done)
    assert done.finish_reason in {"stop", "length"}
    assert done.usage.completion_tokens <= 5
    assert done.usage.prompt_tokens == len("hello") + 3
    assert done.timings.time_to_first_token > 0


@pytest.mark.parametrize("split", [1, 9, 40, 63])
def test_reuse_changes_no_answer(profile, tmp_path, tiny, split):
    """Cold and warm agree, wherever the cached beginning ends."""
    text = "".join(chr(97 + i % 26) for i in range(64))
    warm, cold = (SteppedEngine(profile, tmp_path / name) for name in ("warm", "cold"))
    warm.answer(chat(tiny, text[:split] + "#"))
    one, other = (e.answer(chat(tiny, text, max_tokens=20)) for e in (warm, cold))
    assert one.text == other.text
    assert other.last.usage.cached_tokens == 0


def test_models_do_not_share_kv(engine, tiny, other_tiny):
    engine.answer(chat(tiny, "hello", system=SYSTEM))
    other = engine.answer(chat(other_tiny, "hello", system=SYSTEM))
    assert other.last.usage.cached_tokens == 0


def test_answers_in_company_are_the_answers_alone(profile, tmp_path, tiny):
    """Greedy and seeded rows, joining at different moments, do not disturb each other."""
    requests = [
        chat(tiny, "a" * 5, max_tokens=15),
        chat(tiny, "b" * 60, temperature=0.8, seed=7, max_tokens=25),
        chat(tiny, "c" * 21, temperature=1.2, seed=7, top_p=0.9, max_tokens=9),
        chat(tiny, "d" * 33, temperature=0.7, seed=1, top_k=20, min_p=0.01, max_tokens=20),
    ]
    alone = [
        SteppedEngine(profile, tmp_path / str(i)).answer(request).text
        for i, request in enumerate(requests)
    ]
    together = SteppedEngine(profile, tmp_path / "together")
    asked = []
    for request in requests:
        asked.append(together.ask(request))
        together.engine.turn(wait=False)
    together.finish(*asked)
    assert [one.text for one in asked] == alone


def test_a_seed_repeats_itself_and_another_differs(engine, tiny):
    texts = [
        engine.answer(chat(tiny, "hello", temperature=1.0, seed=seed, max_tokens=30)).text
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_a_stop_string_ends_the_answer_before_itself(engine, tiny):
    whole = engine.answer(chat(tiny, "hello", max_tokens=30)).text
    stop = whole[5:7]
    asked = engine.answer(chat(tiny, "hello", max_tokens=30, stop=(stop,)))
    assert asked.text == whole.partition(stop)[0]
    assert asked.last.finish_reason == "stop"


def test_a_cancelled_call_frees_its_place_within_one_turn(engine, tiny):
    asked = engine.ask(chat(tiny, "hello", max_tokens=400))
    other = engine.ask(chat(tiny, "bystander", max_tokens=8))
    for _ in range(3):
        engine.engine.turn(wait=False)
    asked.call.cancel()
    engine.engine.turn(wait=False)
    engine.finish(other)
    assert not asked.finished
    assert engine.engine._scheduler.active == 0
    assert engine.engine._pool[tiny.digest].runner.live_kv_bytes == 0


def test_a_request_whose_caller_left_loads_nothing(engine, tiny):
    asked = Asked()
    asked.call.cancel()
    engine.engine.submit(chat(tiny, "hello"), asked.call)
    engine.engine.turn(wait=False)
    assert asked.events == []
    assert engine.engine.snapshot.status.models == ()


def test_a_cancelled_prefill_keeps_what_it_computed(engine, tiny):
    long = "x" * 300
    asked = engine.ask(chat(tiny, long))
    engine.engine.turn(wait=False)
    asked.call.cancel()
    engine.engine.turn(wait=False)
    assert engine.answer(chat(tiny, long)).last.usage.cached_tokens >= 128


def test_a_prompt_too_long_is_refused_with_the_numbers(engine, tiny):
    asked = engine.answer(chat(tiny, "x" * (CONTEXT + 1)))
    assert asked.last.code == "context_length_exceeded"
    assert str(CONTEXT) in asked.last.message


def test_an_answer_longer_than_the_context_is_cut_to_it(engine, tiny):
    asked = engine.answer(chat(tiny, "x" * 480, max_tokens=10 * CONTEXT, temperature=1.5, seed=3))
    usage = asked.last.usage
    assert usage.prompt_tokens + usage.completion_tokens <= CONTEXT


def test_an_unbounded_answer_ends_with_the_context(engine, tiny):
    asked = engine.answer(chat(tiny, "x" * 480, max_tokens=None, temperature=1.5, seed=3))
    usage = asked.last.usage
    assert usage.prompt_tokens + usage.completion_tokens <= CONTEXT


def test_a_model_that_is_not_there_is_a_clear_failure(engine, tiny, tmp_path):
    missing = tiny.model_copy(update={"path": str(tmp_path / "gone"), "digest": "gone"})
    asked = engine.answer(chat(missing, "hello"))
    assert asked.last.code == "model_load_failed"
    assert engine.answer(chat(tiny, "hello")).last.event == "done"


def test_a_failing_prefill_ends_its_own_request_only(engine, tiny, monkeypatch):
    bystander = engine.ask(chat(tiny, "bystander", max_tokens=20))
    runner = engine.engine._pool[tiny.digest].runner
    prefill = runner.prefill

    def broken(chunks):
        if chunks[0].sequence.client == "victim":
            raise RuntimeError("boom")
        prefill(chunks)

    monkeypatch.setattr(runner, "prefill", broken)
    victim = engine.ask(chat(tiny, "hello").model_copy(update={"client": "victim"}))
    engine.finish(bystander, victim)
    assert victim.last.code == "internal_error"
    assert bystander.last.event == "done"


def test_a_failure_while_text_is_made_ends_its_own_request_only(engine, tiny, monkeypatch):
    bystander = engine.ask(chat(tiny, "bystander", max_tokens=20))
    victim = engine.ask(chat(tiny, "victim", max_tokens=20))
    (job,) = (job for job in engine.engine._jobs if job.call is victim.call)
    monkeypatch.setattr(job.text, "feed", lambda token: 1 / 0)
    engine.finish(bystander, victim)
    assert victim.last.code == "internal_error"
    assert bystander.last.event == "done"


def test_a_prompt_that_cannot_be_cached_is_answered_all_the_same(engine, tiny, monkeypatch):
    monkeypatch.setattr(engine.engine._cache, "remember", lambda *args, **options: 1 / 0)
    assert engine.answer(chat(tiny, "hello")).last.event == "done"


def test_a_failing_decode_leaves_the_engine_able_to_answer(engine, tiny, monkeypatch):
    engine.answer(chat(tiny, "load"))
    asked = engine.ask(chat(tiny, "hello", max_tokens=20))
    runner = engine.engine._pool[tiny.digest].runner
    with monkeypatch.context() as patch:
        patch.setattr(runner, "decode", lambda: 1 / 0)
        engine.finish(asked)
    assert asked.last.code == "internal_error"
    assert "Zero" not in asked.last.message
    assert engine.answer(chat(tiny, "hello")).last.event == "done"


def test_a_full_queue_is_refused_with_a_time_to_come_back(profile, tmp_path, tiny):
    engine = SteppedEngine(profile, tmp_path, max_batch=1, max_queue=1)
    engine.answer(chat(tiny, "load"))
    asked = [engine.ask(chat(tiny, f"request {i}", max_tokens=30)) for i in range(4)]
    refused = [one for one in asked if one.finished]
    assert {one.last.code for one in refused} == {"queue_full"}
    assert all(one.last.retry_after for one in refused)
    engine.finish(*asked)


def test_no_room_for_a_model_says_what_it_needs(profile, tmp_path, tiny):
    engine = SteppedEngine(
        profile, tmp_path, memory_ceiling_bytes=1000, prompt_cache={"max_memory_bytes": 500}
    )
    failed = engine.answer(chat(tiny, "hello")).last
    assert failed.code == "insufficient_memory"
    assert "MLXHUB_MEMORY_CEILING_GB" in failed.message


def test_an_idle_model_makes_room_for_another(profile, tmp_path, tiny, other_tiny):
    probe = SteppedEngine(profile, tmp_path / "probe")
    probe.answer(chat(tiny, "hello"))
    (footprint,) = (model.footprint for model in probe.engine._pool)
    one = (
        footprint.weights_bytes
        + footprint.working_bytes
        + SHORT_CONVERSATION * footprint.kv_bytes_per_token
    )
    engine = SteppedEngine(
        profile,
        tmp_path / "small",
        memory_ceiling_bytes=one + footprint.weights_bytes // 2,
    )
    engine.answer(chat(tiny, "hello", max_tokens=2))
    engine.answer(chat(other_tiny, "hello", max_tokens=2))
    assert [m.spec.name for m in engine.engine._pool] == ["other"]


def test_warming_makes_the_first_chat_a_hit(engine, tiny):
    warmed = engine.answer(protocol.Warm(model=tiny, system_prompt=SYSTEM, pinned=True)).last
    assert isinstance(warmed, protocol.Warmed)
    assert warmed.tokens >= len(SYSTEM)
    (entry,) = engine.engine.snapshot.entries.entries
    assert (entry.id, entry.kind, entry.pinned) == (warmed.entry_id, "system", True)
    first = engine.answer(chat(tiny, "hello", system=SYSTEM))
    assert first.last.usage.cached_tokens == warmed.tokens


def test_warm_ups_and_chats_that_arrive_together_do_not_mix(engine, tiny):
    engine.answer(chat(tiny, "load", max_tokens=1))
    asked = [Asked() for _ in range(4)]
    requests = [
        protocol.Warm(model=tiny, system_prompt="Be brief."),
        chat(tiny, "hello"),
        protocol.Warm(model=tiny, system_prompt="Answer at length."),
        chat(tiny, "other"),
    ]
    for one, request in zip(asked, requests, strict=True):
        engine.engine.submit(request, one.call)
    engine.finish(*asked)
    assert [one.last.event for one in asked] == ["warmed", "done", "warmed", "done"]


def test_warming_twice_computes_next_to_nothing(engine, tiny):
    engine.answer(protocol.Warm(model=tiny, system_prompt=SYSTEM))
    again = engine.answer(protocol.Warm(model=tiny, system_prompt=SYSTEM)).last
    assert again.cached_tokens == again.tokens - 1
    assert len(engine.engine.snapshot.entries.entries) == 1


def test_an_evicted_entry_no_longer_helps(engine, tiny):
    warmed = engine.answer(protocol.Warm(model=tiny, system_prompt=SYSTEM)).last
    assert engine.answer(protocol.EvictCache(entry_id=warmed.entry_id)).last.entries == 1
    assert engine.answer(chat(tiny, "hi", system=SYSTEM)).last.usage.cached_tokens == 0


def test_a_busy_model_is_not_unloaded_and_an_idle_one_is(engine, tiny):
    asked = engine.ask(chat(tiny, "hello", max_tokens=50))
    assert engine.answer(protocol.UnloadModel(digest=tiny.digest)).last.code == "model_busy"
    engine.finish(asked)
    assert engine.answer(protocol.UnloadModel(digest=tiny.digest)).last.event == "ok"
    assert engine.answer(protocol.UnloadModel(digest=tiny.digest)).last.code == "model_not_loaded"


def test_a_model_nobody_uses_is_unloaded_after_its_time(profile, tmp_path, tiny):
    engine = SteppedEngine(profile, tmp_path, model_ttl_seconds=100)
    engine.answer(chat(tiny, "hello"))
    engine.engine.turn(wait=False)
    (model,) = engine.engine._pool
    model.last_used_at -= 101
    engine.engine.turn(wait=False)
    assert engine.engine.snapshot.status.models == ()
