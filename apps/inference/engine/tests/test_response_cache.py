"""Exact repeats of deterministic requests come from memory; whatever matters makes a miss."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.inference.engine import protocol
from apps.inference.engine.config import ResponseCacheConfig
from apps.inference.engine.protocol import AdapterSpec, DraftSpec, Grammar, Message, Sampling
from apps.inference.engine.response_cache import ResponseCache, response_key
from apps.inference.engine.sequence import Call
from apps.inference.engine.tests.harness import Asked, SteppedEngine, chat

MODEL = protocol.ModelSpec(name="m", path="/m", digest="d")
REQUEST = protocol.Generate(
    model=MODEL,
    messages=(Message(role="user", content="hello"),),
    sampling=Sampling(temperature=0.0, max_tokens=5),
)
ON = ResponseCacheConfig(max_bytes=1 << 20, ttl_seconds=60)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def done(reason="stop", tokens=2, **changes):
    return protocol.Done(
        finish_reason=reason,
        usage=protocol.Usage(prompt_tokens=9, completion_tokens=tokens, cached_tokens=0),
        timings=protocol.Timings(
            queued=1.0, time_to_first_token=2.0, decode=3.0, tokens_per_second=4.0
        ),
        **changes,
    )


def answered(cache, request, text="hi", last=None):
    """Ask; what was not answered from memory is answered as the engine would."""
    events = []
    call = Call(events.append)
    if not cache.answer(request, call):
        for character in text:
            call.emit(protocol.Delta(text=character))
        call.emit(last or done())
    return events


def changed(request=REQUEST, **fields):
    """The request with some fields changed; those of its parts as ``part__field``."""
    for name, value in fields.items():
        part, _, field = name.partition("__")
        if field:
            value = getattr(request, part).model_copy(update={field: value})
        request = request.model_copy(update={part: value})
    return request


def test_an_exact_repeat_is_the_same_answer_at_once():
    cache = ResponseCache(ON)
    first = answered(cache, REQUEST, "hello", done("stop", 3))
    prompt, delta, last = answered(cache, REQUEST, "never computed")
    assert first[-1].repeated is False
    assert prompt == protocol.Prompt(prompt_tokens=9, cached_tokens=9, repeated=True)
    assert delta.text == "hello"
    assert (last.repeated, last.finish_reason) == (True, "stop")
    assert last.usage == protocol.Usage(prompt_tokens=9, completion_tokens=3, cached_tokens=9)
    assert last.timings.time_to_first_token < 0.1
    stats = cache.stats()
    assert (stats.entries, stats.hits, stats.misses) == (1, 1, 1)
    assert 0 < stats.bytes < stats.max_bytes == ON.max_bytes


def test_log_probabilities_are_repeated_with_the_text():
    cache, events = ResponseCache(ON), []
    call = Call(events.append)
    token = protocol.TokenLogprob(text="h", bytes=(104,), logprob=-0.5)
    assert not cache.answer(REQUEST, call)
    call.emit(protocol.Delta(text="h", logprobs=(token,)))
    call.emit(protocol.Delta(text="i", logprobs=(token, token)))
    call.emit(done())
    assert answered(cache, REQUEST)[1] == protocol.Delta(text="hi", logprobs=(token,) * 3)


def test_thoughts_and_calls_are_repeated_in_their_order():
    cache, events = ResponseCache(ON), []
    call = Call(events.append)
    assert not cache.answer(REQUEST, call)
    call.emit(protocol.Prompt(prompt_tokens=9, cached_tokens=0, marked_tokens=4))
    for text in ("I ", "think"):
        call.emit(protocol.Reasoning(text=text))
    call.emit(protocol.Delta(text="Well:"))
    for index, name in enumerate(("f", "g")):
        call.emit(protocol.ToolCallStart(index=index, id=f"call_{index}", name=name))
        for text in ("{", "}"):
            call.emit(protocol.ToolCallArguments(index=index, text=text))
    call.emit(done("tool_calls"))
    prompt, *told, last = answered(cache, REQUEST)
    assert prompt.marked_tokens == 4
    assert told == [
        protocol.Reasoning(text="I think"),
        protocol.Delta(text="Well:"),
        protocol.ToolCallStart(index=0, id="call_0", name="f"),
        protocol.ToolCallArguments(index=0, text="{}"),
        protocol.ToolCallStart(index=1, id="call_1", name="g"),
        protocol.ToolCallArguments(index=1, text="{}"),
    ]
    assert (last.repeated, last.finish_reason) == (True, "tool_calls")


def test_the_tokens_of_a_prompt_are_not_repeated():
    cache = ResponseCache(ON)
    request = changed(score_prompt=True)
    answered(cache, request)
    assert answered(cache, request)[-1].repeated is False


def test_it_is_off_by_default():
    cache = ResponseCache(ResponseCacheConfig())
    answered(cache, REQUEST)
    assert answered(cache, REQUEST, "again")[-1].repeated is False
    assert cache.stats().misses == 0


def test_what_is_drawn_at_random_is_neither_kept_nor_counted():
    cache = ResponseCache(ON)
    request = changed(sampling__temperature=0.1, sampling__seed=1)
    for _ in range(2):
        assert answered(cache, request)[-1].repeated is False
    assert cache.stats().misses == 0


@pytest.mark.parametrize(
    ("last", "kept"),
    [
        (done("stop", 1), True),
        (done("length", 5), True),
        # Cut off for want of room, which there may be the next time.
        (done("length", 4), False),
        (protocol.Failed(code="deadline_exceeded", message="late"), False),
    ],
)
def test_only_answers_that_ended_by_themselves_are_kept(last, kept):
    cache = ResponseCache(ON)
    answered(cache, REQUEST, last=last)
    assert cache.stats().entries == kept


def test_an_answer_whose_caller_left_is_not_kept():
    cache = ResponseCache(ON)
    call = Call(lambda event: None)
    assert not cache.answer(REQUEST, call)
    call.emit(protocol.Delta(text="hal"))
    call.cancel()
    assert cache.stats().entries == 0


def test_a_response_expires_and_hits_do_not_prolong_it():
    clock = Clock()
    cache = ResponseCache(ON, clock=clock)
    answered(cache, REQUEST)
    clock.now += 59
    assert answered(cache, REQUEST)[-1].repeated
    clock.now += 1
    assert cache.stats().entries == cache.stats().bytes == 0
    assert answered(cache, REQUEST)[-1].repeated is False


def test_the_least_recently_used_goes_when_there_is_no_room():
    cache = ResponseCache(ResponseCacheConfig(max_bytes=4000))
    one, two, three = (changed(cache_salt=name) for name in ("one", "two", "three"))
    for request in (one, two, three):
        answered(cache, request, "x" * 500)
        answered(cache, one)
    assert cache.stats().bytes <= 4000
    assert answered(cache, one)[-1].repeated
    assert answered(cache, two)[-1].repeated is False


def test_an_answer_larger_than_the_cache_is_not_kept():
    cache = ResponseCache(ResponseCacheConfig(max_bytes=2000))
    answered(cache, REQUEST, "x" * 3000)
    assert cache.stats().entries == cache.stats().bytes == 0


def test_clearing_forgets_everything():
    cache = ResponseCache(ON)
    answered(cache, REQUEST)
    cache.clear()
    assert cache.stats().entries == cache.stats().bytes == 0
    assert answered(cache, REQUEST)[-1].repeated is False


DRAFT = DraftSpec(name="draft", path="/draft", digest="other")
ADAPTER = AdapterSpec(name="a", path="/a", digest="a")

WITHOUT_EFFECT = {
    "ids": st.dictionaries(st.text(), st.text(), max_size=3),
    "client": st.text(),
    "priority": st.sampled_from(["interactive", "batch"]),
    "deadline_seconds": st.floats(1, 100),
    "sampling__seed": st.integers(),
    "model__name": st.text(),
    "model__path": st.text(),
    "model__pinned": st.booleans(),
    "model__ttl_seconds": st.floats(0, 100),
    "model__draft": st.sampled_from([None, DRAFT]),
}

GRAMMAR = st.builds(Grammar, kind=st.sampled_from(["json_schema", "regex"]), text=st.text())
ROLES = st.sampled_from(["system", "user", "assistant"])

EFFECTIVE = {
    "messages": st.lists(
        st.builds(Message, role=ROLES, content=st.text()), min_size=1, max_size=3
    ).map(tuple),
    "cache_salt": st.text(max_size=20),
    "adapter": st.builds(AdapterSpec, name=st.just("a"), path=st.just("/a"), digest=st.text()),
    "model__digest": st.text(),
    "sampling__max_tokens": st.one_of(st.none(), st.integers(1, 9)),
    "sampling__stop": st.lists(st.text(), max_size=2).map(tuple),
    "sampling__repetition_penalty": st.floats(0.5, 2.0),
    "sampling__presence_penalty": st.floats(-2.0, 2.0),
    "sampling__frequency_penalty": st.floats(-2.0, 2.0),
    "sampling__logit_bias": st.dictionaries(st.integers(0, 9), st.floats(-9, 9)),
    "sampling__logprobs": st.one_of(st.none(), st.integers(0, 20)),
    "sampling__grammar": st.one_of(st.none(), GRAMMAR),
    "prompt": st.one_of(st.text(max_size=5), st.lists(st.integers(0, 9), max_size=3).map(tuple)),
    "tools": st.lists(st.builds(protocol.Tool, name=st.text(max_size=3)), max_size=2).map(tuple),
    "tool_choice": st.builds(protocol.ToolChoice, mode=st.sampled_from(["none", "required"])),
    "suffix": st.text(max_size=3),
    "score_prompt": st.booleans(),
    "continue_final": st.booleans(),
    "cache_mark": st.builds(protocol.CacheMark, messages=st.integers(1, 3)),
    "template_options": st.dictionaries(st.text(max_size=3), st.booleans(), max_size=2),
}


@given(st.fixed_dictionaries({}, optional=WITHOUT_EFFECT))
def test_who_asks_and_how_urgently_makes_no_difference(fields):
    assert response_key(changed(**fields)) == response_key(REQUEST)


@given(
    one=st.fixed_dictionaries({}, optional=EFFECTIVE),
    other=st.fixed_dictionaries({}, optional=EFFECTIVE),
)
def test_requests_share_a_response_only_where_all_that_matters_is_equal(one, other):
    first, second = changed(**one), changed(**other)
    assert (response_key(first) == response_key(second)) == (first == second)


def test_every_field_of_a_request_was_judged():
    """A new field counts by itself; whether it matters has to be said here."""
    judged = {name.partition("__")[0] for name in (*EFFECTIVE, *WITHOUT_EFFECT)}
    assert set(protocol.Generate.model_fields) <= judged | {"op", "model", "sampling"}


def test_an_adapter_counts_by_its_content_alone():
    moved = ADAPTER.model_copy(update={"name": "b", "path": "/b"})
    rewritten = ADAPTER.model_copy(update={"digest": "b"})
    keys = [response_key(changed(adapter=a)) for a in (ADAPTER, moved, rewritten, None)]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


# --- in the engine ----------------------------------------------------------


@pytest.fixture
def engine(profile, tmp_path):
    stepped = SteppedEngine(profile, tmp_path, response_cache=ON)
    yield stepped
    stepped.engine._cache.close()


def test_the_engine_repeats_an_answer_while_it_is_busy(engine, tiny):
    request = chat(tiny, "hello")
    first = engine.answer(request)
    busy = engine.ask(chat(tiny, "something else", max_tokens=30))
    repeat = Asked()
    engine.engine.submit(request, repeat.call)
    assert repeat.finished, "it waits for no turn of the engine"
    assert (repeat.text, repeat.last.repeated) == (first.text, True)
    engine.finish(busy)
    stats = engine.engine.snapshot.stats
    assert (stats.response_entries, stats.response_hits, stats.response_misses) == (2, 1, 2)


def test_a_salt_keeps_responses_apart(engine, tiny):
    request = chat(tiny, "hello")
    engine.answer(request)
    salted = engine.answer(request.model_copy(update={"cache_salt": "tenant"}))
    assert salted.last.repeated is False


def test_evicting_everything_forgets_responses_too(engine, tiny):
    request = chat(tiny, "hello")
    engine.answer(request)
    engine.answer(protocol.EvictCache())
    assert engine.answer(request).last.repeated is False
