"""Schemas as grammars: whatever a grammar lets through is valid, whoever writes it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx_lm.tokenizer_utils import load

from apps.inference.engine.errors import InvalidRequest
from apps.inference.engine.protocol import Grammar, Tool
from apps.inference.engine.sampling.grammar import CallGrammar, Grammars
from apps.inference.engine.sampling.json_schema import guided, subschemas
from apps.inference.engine.tests.random_schemas import problem_with, schemas
from apps.inference.engine.text.tools.formats import enforced_schema
from apps.inference.engine.text.vocabulary import Vocabulary

OPEN = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
END = 256
"""The tokenizer's end token; those below are single bytes."""


@pytest.fixture(scope="module")
def tokenizer(tiny):
    return load(Path(tiny.path))


@pytest.fixture(scope="module")
def grammars(tokenizer):
    return Grammars(tokenizer)


@pytest.fixture(scope="module")
def vocabulary(tokenizer):
    return Vocabulary(tokenizer)


def constraint(grammars, schema):
    return grammars.constraint(Grammar(kind="json_schema", text=json.dumps(schema)))


def is_let_through(grammars, schema, text: str) -> bool:
    """Whether the whole text is an answer."""
    followed = constraint(grammars, schema)
    for token in grammars.tokens_of(text.encode()):
        followed.accept(token)
    return followed.complete


def scribbled(grammars, vocabulary, schema, rng: random.Random, most: int = 300) -> str | None:
    """An answer by chance, which likes to close what is open; None: it came to no end."""
    followed, answer = constraint(grammars, schema), b""
    for _ in range(most):
        allowed = np.flatnonzero(followed.mask(END + 1)).tolist()
        if END in allowed and (len(allowed) == 1 or rng.random() < 0.5):
            return answer.decode()
        closing = [t for t in allowed if t != END and vocabulary.bytes_of(t) in b'"]},']
        others = [t for t in allowed if t != END]
        token = rng.choice(closing if closing and rng.random() < 0.5 else others)
        followed.accept(token)
        answer += vocabulary.bytes_of(token)
    return None


@settings(max_examples=30, deadline=None)
@given(schema=schemas(), rng=st.randoms(use_true_random=False))
def test_what_a_schemas_grammar_lets_through_is_valid(grammars, vocabulary, schema, rng):
    answer = scribbled(grammars, vocabulary, schema, rng)
    assert answer is None or problem_with(answer, schema) is None


def test_a_declared_name_can_not_be_written_in_another_way(grammars):
    assert is_let_through(grammars, OPEN, '{"a": 1, "b": "x"}')
    for again in ('"\\u0061"', '"a"'):
        assert not is_let_through(grammars, OPEN, f'{{"a": 1, {again}: "x"}}')


def test_control_characters_of_the_schemas_own_are_written_as_escapes(grammars):
    assert is_let_through(grammars, {"enum": ["\x1b[0m", "plain"]}, '"\\u001b[0m"')
    assert is_let_through(grammars, {"const": "a\tb\n"}, '"a\\tb\\n"')


def test_unique_items_false_asks_for_nothing(grammars):
    schema = {"type": "array", "items": {"type": "integer"}, "uniqueItems": False}
    assert is_let_through(grammars, schema, "[1, 1]")


def test_names_that_may_repeat_do_not_count_as_properties(grammars):
    countable = OPEN | {"minProperties": 2}
    assert is_let_through(grammars, countable, '{"a": 1, "b": 2}')
    with pytest.raises(InvalidRequest, match="minProperties is 3, and nothing keeps"):
        constraint(grammars, OPEN | {"minProperties": 3})


def test_a_strict_tool_is_refused_what_a_lenient_one_is_let_off(grammars):
    parameters = OPEN | {"minProperties": 3}
    tool = Tool(name="f", parameters=json.dumps(parameters))
    grammars.constraint(CallGrammar(f"start: {enforced_schema(parameters, tool)}"))
    with pytest.raises(InvalidRequest, match=r"parameters of f can't be used: minProperties"):
        enforced_schema(parameters, tool.model_copy(update={"strict": True}))


def test_a_schemas_own_options_go_before_the_hubs():
    own = guided({"x-guidance": {"whitespace_flexible": False, "lenient": True}})["x-guidance"]
    assert own["whitespace_flexible"] is False
    assert own["lenient"] is True
    assert "u" not in own["json_allowed_escapes"]


def test_the_schema_itself_is_left_as_it_is():
    schema = {"type": "array", "uniqueItems": False}
    guided(schema)
    assert schema == {"type": "array", "uniqueItems": False}


def test_values_are_not_taken_for_schemas():
    value = {"properties": {"x": {"uniqueItems": False}}}
    found = list(
        subschemas({"const": value, "enum": [value], "properties": {"const": {"type": "null"}}})
    )
    assert found[1:] == [{"type": "null"}]
    assert guided({"const": {"uniqueItems": False}})["const"] == {"uniqueItems": False}
