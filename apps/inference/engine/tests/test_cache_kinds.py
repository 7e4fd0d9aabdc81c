"""Reuse for every kind of cache: plain KV, sliding windows, hybrids, recurrent states."""

import mlx.core as mx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlx_lm.models.cache import (
    ArraysCache,
    CacheList,
    KVCache,
    RotatingKVCache,
    make_prompt_cache,
)

from apps.inference.engine.prompt_cache.layout import layout_of
from apps.inference.engine.prompt_cache.spans import (
    cache_from_spans,
    span_from_body,
    span_of_cache,
)
from apps.inference.engine.tests.harness import Asked, SteppedEngine, chat
from apps.inference.engine.tests.tiny import ARCHITECTURES, tiny_model

TOLERANCE = 1e-4
"""Largest difference of a logit, cold against warm, relative to the largest logit."""

SYSTEM = "You are a patient teacher of geography and you answer briefly."

kinds = pytest.mark.parametrize("architecture", list(ARCHITECTURES))


@pytest.fixture(scope="module")
def models():
    return {name: tiny_model(name) for name in ARCHITECTURES}


def forward(model, cache, tokens):
    logits = model(mx.array(tokens)[None], cache=cache)[:, -1, :]
    mx.eval(logits, [layer.state for layer in cache])
    return logits


@kinds
@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    tokens=st.lists(st.integers(0, 255), min_size=3, max_size=60),
    cuts=st.lists(st.integers(1, 1000), min_size=1, max_size=3),
    decoded=st.booleans(),
    through_disk=st.booleans(),
)
def test_cold_and_warm_logits_agree_wherever_the_prompt_was_cut(
    models, architecture, tokens, cuts, decoded, through_disk
):
    """Each stretch is taken out as a span and put back, as the prompt cache does.

    It was computed at once, as a prompt is, or token by token, as an answer is:
    then a window rotates in place.
    """
    model = models[architecture]
    layout = layout_of(make_prompt_cache(model))
    cold = forward(model, make_prompt_cache(model), tokens)

    edges = sorted({cut % (len(tokens) - 1) + 1 for cut in cuts})
    cache, spans, start = make_prompt_cache(model), [], 0
    for stop in edges:
        for part in [[token] for token in tokens[start:stop]] if decoded else [tokens[start:stop]]:
            forward(model, cache, part)
        span = span_of_cache(layout, cache, start, stop)
        spans.append(span_from_body(span.export()) if through_disk else span)
        cache, start = cache_from_spans(layout, spans, len(tokens) - stop), stop
    warm = forward(model, cache, tokens[start:])
    assert mx.abs(cold - warm).max() <= TOLERANCE * mx.abs(cold).max()


def test_caches_nested_in_layers_come_apart_and_together_again():
    """As deepseek_v32 nests two of plain KV, and baichuan_m1 a state and a window."""

    def made():
        return [
            CacheList(KVCache(), KVCache()),
            CacheList(ArraysCache(2), RotatingKVCache(max_size=4)),
            KVCache(),
            CacheList(KVCache()),
        ]

    cache, layout = made(), layout_of(made())
    parts = [part for layer in cache for part in getattr(layer, "caches", [layer])]
    for number, part in enumerate(parts):
        numbers = mx.full((1, 2, 9, 4), number + 1.0)
        if isinstance(part, ArraysCache):
            part.cache = [numbers, numbers + 0.5]
        else:
            part.update_and_fetch(numbers, -numbers)
    spans = [span_of_cache(layout, cache, 0, 9)]
    again = cache_from_spans(layout, [span_from_body(spans[0].export())], 1)
    assert [type(layer) for layer in again] == [type(layer) for layer in cache]
    state, window = again[1]
    assert [array[0, 0, 0, 0].item() for array in state.cache] == [3.0, 3.5]
    assert (window.offset, window.keys.shape[2], window.keys[0, 0, 0, 0].item()) == (9, 4, 4.0)
    plain = [again[0][0], again[0][1], again[2], again[3][0]]
    assert [part.keys_and_values()[1][0, 0, 8, 0].item() for part in plain] == [-1, -2, -5, -6]
    assert all(part.offset == 9 for part in plain)


@kinds
def test_a_span_is_not_changed_by_what_is_computed_on_it(models, architecture):
    model = models[architecture]
    layout = layout_of(make_prompt_cache(model))
    cache = make_prompt_cache(model)
    forward(model, cache, list(range(40)))
    span = span_of_cache(layout, cache, 0, 40)
    first = forward(model, cache_from_spans(layout, [span], 10), [1, 2, 3])
    again = forward(model, cache_from_spans(layout, [span], 10), [1, 2, 3])
    assert mx.array_equal(first, again)


@kinds
def test_an_exact_repeat_computes_one_token(engine, spec):
    first = engine.answer(chat(spec, "hello there", system=SYSTEM))
    again = engine.answer(chat(spec, "hello there", system=SYSTEM))
    assert again.last.usage.cached_tokens == again.last.usage.prompt_tokens - 1
    assert again.text == first.text


@kinds
def test_a_shared_system_prompt_is_computed_once(engine, spec):
    engine.answer(chat(spec, "one", system=SYSTEM))
    second = engine.answer(chat(spec, "two", system=SYSTEM))
    assert second.last.usage.cached_tokens >= len(SYSTEM)


@kinds
def test_the_next_turn_goes_on_from_the_last(engine, spec):
    first = engine.answer(chat(spec, "hello", system=SYSTEM, max_tokens=6))
    turn = engine.answer(chat(spec, "hello", first.text, "and?", system=SYSTEM))
    assert turn.last.usage.cached_tokens >= first.last.usage.prompt_tokens


@kinds
def test_every_turn_of_a_long_chat_goes_on_from_the_last(profile, tmp_path, spec):
    """Also where two chats over one system prompt take turns, and after a restart."""
    turns = {name: [f"my name is {name}"] for name in ("ada", "emmy")}
    computed = dict.fromkeys(turns, 0)
    engine = SteppedEngine(profile, tmp_path)
    for number in range(4):
        if number == 2:
            engine.engine._cache.close()
            engine = SteppedEngine(profile, tmp_path)
        for name, said in turns.items():
            request = chat(spec, *said, system=SYSTEM, max_tokens=5)
            answer = engine.answer(request)
            assert answer.last.usage.cached_tokens >= computed[name]
            oracle = SteppedEngine(
                profile, tmp_path / f"{name}{number}", prompt_cache={"max_disk_bytes": 0}
            )
            assert oracle.answer(request).text == answer.text
            turns[name] = [*said, answer.text, f"and number {number}?"]
            computed[name] = answer.last.usage.prompt_tokens
    engine.engine._cache.close()


@kinds
def test_salted_prompts_share_with_their_own_kind_only(profile, tmp_path, spec):
    """In memory, and on disk after a restart."""

    def asked(engine, salt, question):
        request = chat(spec, question, system=SYSTEM).model_copy(update={"cache_salt": salt})
        return engine.answer(request).last.usage.cached_tokens

    engine = SteppedEngine(profile, tmp_path)
    assert asked(engine, "", "one") == 0
    assert asked(engine, "tenant", "one") == 0
    assert asked(engine, "other", "one") == 0
    engine.engine._cache.close()
    again = SteppedEngine(profile, tmp_path)
    assert asked(again, "third", "one") == 0
    assert asked(again, "tenant", "two") >= len(SYSTEM)
    assert asked(again, "", "two") >= len(SYSTEM)
    again.engine._cache.close()


@kinds
def test_the_third_to_part_at_one_place_starts_there(engine, spec):
    common = "x" * 100
    engine.answer(chat(spec, common + "one"))
    engine.answer(chat(spec, common + "two"))
    third = engine.answer(chat(spec, common + "six"))
    assert third.last.usage.cached_tokens >= len(common)


@kinds
def test_warm_answers_are_cold_answers(profile, tmp_path, spec):
    """Two conversations over one system prompt, interleaved, against fresh engines."""
    requests = [chat(spec, f"question {i}", system=SYSTEM, max_tokens=10) for i in (1, 2, 1, 3, 2)]
    warm = SteppedEngine(profile, tmp_path / "warm")
    texts = [warm.answer(request).text for request in requests]
    for i, request in enumerate(requests):
        cold = SteppedEngine(profile, tmp_path / f"cold{i}", prompt_cache={"max_disk_bytes": 0})
        assert cold.answer(request).text == texts[i]


@kinds
def test_a_prompt_that_goes_on_otherwise_is_answered_as_if_cold(profile, tmp_path, spec):
    """The second prompt parts from the first exactly where that one's answer began."""
    warm, cold = (SteppedEngine(profile, tmp_path / name) for name in ("warm", "cold"))
    warm.answer(chat(spec, "hello", system=SYSTEM, max_tokens=9))
    request = chat(spec, "hello", "QQQ said somebody else", "and?", system=SYSTEM, max_tokens=9)
    one, other = warm.answer(request), cold.answer(request)
    assert one.text == other.text
    assert one.last.usage.cached_tokens > len(SYSTEM)


@kinds
def test_a_restarted_engine_is_warm_from_disk(profile, tmp_path, spec):
    first = SteppedEngine(profile, tmp_path)
    cold = first.answer(chat(spec, "hello", system=SYSTEM))
    first.engine._cache.close()
    second = SteppedEngine(profile, tmp_path)
    warm = second.answer(chat(spec, "hello", system=SYSTEM))
    assert warm.last.usage.cached_tokens == warm.last.usage.prompt_tokens - 1
    assert warm.text == cold.text
    second.engine._cache.close()


@kinds
def test_rows_of_one_batch_do_not_disturb_each_other(profile, tmp_path, spec):
    sizes = (("a", 5), ("b", 40), ("c", 7), ("d", 12))
    requests = [chat(spec, letter * size, max_tokens=40) for letter, size in sizes]
    alone = [
        SteppedEngine(profile, tmp_path / str(i), prompt_cache={"max_disk_bytes": 0})
        .answer(request)
        .text
        for i, request in enumerate(requests)
    ]
    together = SteppedEngine(profile, tmp_path / "together")
    together.answer(chat(spec, "load", max_tokens=1))
    asked = [Asked() for _ in requests]
    for i, (one, request) in enumerate(zip(asked, requests, strict=True)):
        together.engine.submit(request, one.call)
        if i == 0:
            # The first decodes alone until its window has rotated; the others come
            # together, so that some of them are prefilled in one pass.
            for _ in range(25):
                together.engine.turn(wait=False)
    together.finish(*asked)
    assert [one.text for one in asked] == alone


@kinds
def test_an_answer_goes_on_as_alone_when_its_company_has_left(profile, tmp_path, spec):
    alone = SteppedEngine(profile, tmp_path / "alone").answer(chat(spec, "first", max_tokens=50))
    engine = SteppedEngine(profile, tmp_path / "company")
    asked = engine.ask(chat(spec, "first", max_tokens=50))
    visitors = [engine.ask(chat(spec, "a longer question", max_tokens=n)) for n in (4, 9)]
    engine.finish(*visitors)
    assert not asked.finished
    last = engine.ask(chat(spec, "and one more", max_tokens=3))
    engine.finish(asked, last)
    assert asked.text == alone.text
    # What it leaves in the prompt cache is right as well.
    turns = ("first", asked.text, "go on")
    expected = SteppedEngine(profile, tmp_path / "cold").answer(chat(spec, *turns))
    assert engine.answer(chat(spec, *turns)).text == expected.text
