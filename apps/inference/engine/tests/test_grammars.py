"""Grammars: what an answer must look like, from very small models with random weights."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.inference.engine import protocol
from apps.inference.engine.errors import InvalidRequest
from apps.inference.engine.protocol import Grammar
from apps.inference.engine.sampling.grammar import MAX_CHARACTERS, Grammars
from apps.inference.engine.tests import random_schemas
from apps.inference.engine.tests.conftest import PROFILE
from apps.inference.engine.tests.harness import SteppedEngine, chat

AMBIGUOUS = Grammar(kind="lark", text='start: a\na: a a a | a a | "x" | "xx"')
"""Soon has more ways to be read than a tight limit allows."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    stepped = SteppedEngine(PROFILE, tmp_path_factory.mktemp("grammars"))
    yield stepped
    stepped.engine._cache.close()


@pytest.fixture(scope="module")
def tokenizer(engine, tiny):
    engine.answer(chat(tiny, "load", max_tokens=1))
    return engine.engine._pool[tiny.digest].loaded.tokenizer


def schema(definition) -> Grammar:
    return Grammar(kind="json_schema", text=json.dumps(definition))


def regex(pattern: str) -> Grammar:
    return Grammar(kind="regex", text=pattern)


def _doubling(terminals: int) -> str:
    """A Lark grammar whose first terminal stands for 2 to the power of ``terminals`` letters."""
    rules = [f"A{i}: A{i + 1} A{i + 1}" for i in range(terminals)]
    return "\n".join(["start: A0", *rules, f'A{terminals}: "b"'])


def spelled(tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False)


# --- schemas ----------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(definition=random_schemas.schemas(), seed=st.integers(0, 1000))
def test_an_answer_to_a_schema_is_json_that_fits_it(engine, tiny, definition, seed):
    request = chat(
        tiny, "hello", grammar=schema(definition), temperature=2.0, seed=seed, max_tokens=250
    )
    asked = engine.answer(request)
    if asked.last.finish_reason == "stop":
        assert random_schemas.problem_with(asked.text, definition) is None
    else:
        assert asked.last.usage.completion_tokens == 250


@settings(max_examples=20, deadline=None)
@given(definition=random_schemas.refused())
def test_a_schema_that_can_not_be_enforced_is_refused(engine, tiny, definition):
    asked = engine.answer(chat(tiny, "hello", grammar=schema(definition)))
    assert asked.last.code == "invalid_request"
    assert asked.last.message.startswith("The JSON Schema can't be used: ")


def test_a_schema_with_nothing_to_choose_is_answered_by_the_one_value(engine, tiny):
    definition = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}
    compact = {**definition, "additionalProperties": False}
    compact["x-guidance"] = {"whitespace_flexible": False}
    asked = engine.answer(chat(tiny, "hello", grammar=schema(compact), max_tokens=50))
    assert (asked.text, asked.last.finish_reason) == ('{"a":1}', "stop")


def test_white_space_in_json_comes_to_an_end(tokenizer):
    constraint = Grammars(tokenizer).constraint(schema({"type": "array", "maxItems": 0}))
    longest = "[\n" + " " * 20
    for token in spelled(tokenizer, longest):
        constraint.accept(token)
    allowed = np.flatnonzero(constraint.mask(260)).tolist()
    assert allowed == spelled(tokenizer, "]")


# --- regular expressions and Lark -------------------------------------------


@pytest.mark.parametrize(
    "pattern",
    ["(yes|no)", "[0-9]{4}-[0-9]{2}-[0-9]{2}", "é[日本]{2,3}!", "a*b", "x{0,3}", "(ab|c){2}"],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_an_answer_to_a_regular_expression_matches_it(engine, tiny, pattern, seed):
    request = chat(
        tiny, "hello", grammar=regex(pattern), temperature=1.5, seed=seed, max_tokens=200
    )
    asked = engine.answer(request)
    assert asked.last.finish_reason == "stop"
    assert re.fullmatch(pattern, asked.text)


def test_an_answer_to_a_lark_grammar_is_in_its_language(engine, tiny):
    grammar = Grammar(
        kind="lark", text='start: item ("," item){2} "."\nitem: /[a-c]/ | "(" item ")"'
    )
    asked = engine.answer(chat(tiny, "hello", grammar=grammar, max_tokens=200))
    assert asked.last.finish_reason == "stop"
    assert re.fullmatch(r"\(*[a-c]\)*(,\(*[a-c]\)*){2}\.", asked.text)
    assert asked.text.count("(") == asked.text.count(")")


def test_an_answer_that_is_cut_is_cut_inside_its_grammar(engine, tiny):
    asked = engine.answer(chat(tiny, "hello", grammar=regex("(ab){100}"), max_tokens=7))
    assert (asked.text, asked.last.finish_reason) == ("abababa", "length")


def test_a_complete_answer_can_only_end(tokenizer):
    constraint = Grammars(tokenizer).constraint(regex("ab?"))
    (a, b), end = spelled(tokenizer, "ab"), tokenizer.eos_token_ids
    constraint.accept(a)
    assert set(np.flatnonzero(constraint.mask(260))) == {b, *end}
    constraint.accept(b)
    assert set(np.flatnonzero(constraint.mask(260))) == set(end)


def test_an_output_wider_than_the_vocabulary_is_masked_to_its_end(tokenizer):
    constraint = Grammars(tokenizer).constraint(regex("a"))
    wide, narrow = constraint.mask(300), constraint.mask(100)
    assert len(wide) == 300
    assert not wide[260:].any()
    np.testing.assert_array_equal(narrow, wide[:100])


def test_two_answers_to_one_grammar_go_their_own_ways(tokenizer):
    grammars = Grammars(tokenizer)
    one, other = (grammars.constraint(regex("ab|cd")) for _ in range(2))
    a, b, c, d = spelled(tokenizer, "abcd")
    one.accept(a)
    other.accept(c)
    assert np.flatnonzero(one.mask(260)).tolist() == [b]
    assert np.flatnonzero(other.mask(260)).tolist() == [d]


@given(cut=st.integers(0, 4))
def test_an_answer_that_lost_its_place_is_still_where_it_was_in_its_grammar(tokenizer, cut):
    constraint = Grammars(tokenizer).constraint(regex("abcd"))
    tokens = spelled(tokenizer, "abcd")
    for token in tokens:
        constraint.accept(token)
    constraint.resume(tokens[:cut])
    expected = tokens[cut : cut + 1] or sorted(tokenizer.eos_token_ids)
    assert np.flatnonzero(constraint.mask(260)).tolist() == expected


def test_only_the_grammars_used_lately_are_kept_compiled(tokenizer):
    grammars = Grammars(tokenizer)
    for i in range(40):
        grammars.constraint(regex(f"a{i}"))
    assert len(grammars._compiled) == 32


# --- what can't be used -----------------------------------------------------


@pytest.mark.parametrize(
    ("grammar", "message"),
    [
        (regex("[a-z"), "unclosed character class"),
        (regex("(?=a)b"), "look-around"),
        (regex("a" * (MAX_CHARACTERS["regex"] + 1)), "longer than"),
        (Grammar(kind="lark", text=_doubling(60)), "too big"),
        (Grammar(kind="json_schema", text="{"), "no JSON"),
        (Grammar(kind="json_schema", text="[" * 100_000), "no JSON"),
        (schema([]), "no JSON object"),
        (schema({"type": "strin"}), "Invalid type: strin"),
        (schema({"not": {}}), "Unimplemented keys"),
        (schema({"type": "integer", "minimum": 5, "maximum": 3}), "minimum"),
        (schema({"$ref": "http://localhost/schema"}), "does not fetch"),
        (schema({"x-guidance": {"unknown": 1}}), "unknown field"),
        (Grammar(kind="lark", text="start: MISSING"), "MISSING"),
        (Grammar(kind="lark", text=""), "Empty grammar"),
    ],
)
def test_a_grammar_of_no_use_is_refused_with_the_reason(engine, tiny, grammar, message):
    failed = engine.answer(chat(tiny, "hello", grammar=grammar)).last
    assert failed.code == "invalid_request"
    assert message in failed.message
    assert "\n" not in failed.message
    assert engine.engine._scheduler.active == 0


def test_rules_that_name_each_other_in_a_long_row_overflow_no_stack(tokenizer, monkeypatch):
    monkeypatch.setitem(MAX_CHARACTERS, "lark", 10**6)
    rules = [f"a{i}: a{i + 1}" for i in range(10_000)]
    chain = "\n".join(["start: a0", *rules, 'a10000: "b"'])
    constraint = Grammars(tokenizer).constraint(Grammar(kind="lark", text=chain))
    assert np.flatnonzero(constraint.mask(260)).tolist() == spelled(tokenizer, "b")


def test_a_model_without_an_end_token_follows_no_grammar(tokenizer):
    class Endless:
        backend_tokenizer = tokenizer.backend_tokenizer
        eos_token_ids = {None}

    with pytest.raises(InvalidRequest, match="no end token"):
        Grammars(Endless()).constraint(regex("a"))


# --- in company -------------------------------------------------------------


def test_constrained_rows_and_their_neighbours_answer_as_they_do_alone(tmp_path, tiny):
    requests = [
        chat(tiny, "a" * 5, max_tokens=15),
        chat(tiny, "b" * 40, grammar=regex("[a-m]{5,20}"), max_tokens=30),
        chat(tiny, "c" * 21, temperature=1.2, seed=7, top_p=0.9, logprobs=2, max_tokens=9),
        chat(tiny, "d" * 33, grammar=schema({"type": "boolean"}), temperature=1.0, seed=3),
        chat(tiny, "e" * 12, repetition_penalty=1.5, frequency_penalty=0.5, max_tokens=20),
        chat(tiny, "f" * 50, logit_bias={65: 9.0}, presence_penalty=1.0, temperature=0.9, seed=1),
    ]
    alone = []
    for i, request in enumerate(requests):
        engine = SteppedEngine(PROFILE, tmp_path / str(i))
        alone.append(_told(engine.answer(request)))
        engine.engine._cache.close()
    together = SteppedEngine(PROFILE, tmp_path / "together")
    asked = []
    for request in requests:
        asked.append(together.ask(request))
        together.engine.turn(wait=False)
    together.finish(*asked)
    together.engine._cache.close()
    assert [_told(one) for one in asked] == alone


def _told(asked):
    """Text and, to five places, log probabilities: the batch's shape moves the last ones."""
    tokens = [t for e in asked.events if isinstance(e, protocol.Delta) for t in e.logprobs]
    return asked.text, [(token.text, round(token.logprob, 4)) for token in tokens]


@pytest.fixture
def tight(engine, tiny, tokenizer):
    """The engine with limits so tight that an ambiguous grammar soon runs into them."""
    model = engine.engine._pool[tiny.digest]
    model.grammars = Grammars(tokenizer, limits={"max_items_in_row": 20})
    yield engine
    del model.grammars


def test_a_grammar_that_cannot_go_on_ends_its_own_request_only(tight, tiny):
    before = tight.ask(chat(tiny, "bystander", max_tokens=40))
    stuck = tight.ask(chat(tiny, "victim", grammar=AMBIGUOUS, max_tokens=60, logit_bias={256: -99}))
    after = tight.ask(chat(tiny, "other", grammar=regex("[a-z]{30}"), max_tokens=40))
    tight.finish(before, stuck, after)
    assert stuck.last.code == "invalid_request"
    assert "could not be followed" in stuck.last.message
    text = "".join(e.text for e in stuck.events if isinstance(e, protocol.Delta))
    assert re.fullmatch("x+", text)
    assert before.last.event == "done"
    assert re.fullmatch("[a-z]{30}", after.text)
    assert tight.engine._scheduler.active == 0
