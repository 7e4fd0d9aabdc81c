"""What is wrong with JSON, in words."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.datasets.formats.reading.syntax import syntax_in_words


def told(text: str, parse=orjson.loads) -> str:
    with pytest.raises(json.JSONDecodeError) as caught:
        parse(text)
    return syntax_in_words(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,age", "only true, false and null stand without double quotes"),
        ("Hello", "no value begins here; text needs double quotes"),
        ('{"a": nope}', 'in "a", only true, false and null stand without double quotes'),
        ('{"a": NaN}', 'in "a", no value begins here; text needs double quotes'),
        ('{"a": 1 "b": 2}', 'in "a", a comma or } is missing'),
        ('{"a": "b" "c"}', "a comma or } is missing"),
        ("{'a': 1}", "a key in double quotes is missing"),
        ('{"a" 1}', "a colon is missing behind the key"),
        ('{"a": 1} x', "more stands behind the end of the value"),
        ('{"a": [1 2]}', "a comma or ] is missing"),
        ('{"a": 1', 'in "a", it ends before a quote, brace or bracket is closed'),
        ('{"a": "one\ntwo"}', "a line break or tab in quotes has to be written as \\n or \\t"),
        ('{"a": "C:\\dir"}', "a backslash in quotes has to be written as \\\\"),
    ],
)
def test_a_mistake_is_told_in_words(text: str, words: str) -> None:
    assert told(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nope", "no value begins here; text needs double quotes"),
        ('{"a": }', 'in "a", no value begins here; text needs double quotes'),
        ("{'a': 1}", "a key in double quotes is missing"),
        ('{"a": 1 "b": 2}', 'in "a", a comma, brace or bracket is missing'),
        ('{"a": 1} x', "more stands behind the end of the value"),
        ('{"a": "b', "a text is not closed by a double quote"),
    ],
)
def test_so_is_what_pythons_parser_finds(text: str, words: str) -> None:
    assert words in told(text, json.loads)


@given(text=st.text(st.sampled_from('{}[]":,\\ntrue0.-1e \n'), max_size=20))
def test_every_mistake_has_words(text: str) -> None:
    for parse in (orjson.loads, json.loads):
        try:
            parse(text)
        except json.JSONDecodeError as error:
            words = syntax_in_words(error)
            assert "expect" not in words.lower()
            assert "literal" not in words
        except RecursionError:
            continue
