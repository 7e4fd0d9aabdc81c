"""A beginning that its caller marked: where it ends, and that the next request starts there."""

from __future__ import annotations

import pytest

from apps.inference.engine import protocol
from apps.inference.engine.protocol import CacheMark
from apps.inference.engine.tests.harness import chat
from apps.inference.engine.tests.tiny import ARCHITECTURES

DOCUMENT = "x" * 100

OPENED = 1
"""Tokens before it: the tiny tokenizer has one for each byte and each of the template's tags."""


def marked(request, **mark):
    return request.model_copy(update={"cache_mark": CacheMark(**mark)})


def admitted(asked):
    return next(event for event in asked.events if isinstance(event, protocol.Prompt))


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_the_second_to_ask_about_a_marked_document_starts_behind_it(engine, spec):
    mark = {"messages": 1, "characters": len(DOCUMENT)}
    first = engine.answer(marked(chat(spec, DOCUMENT + "one"), **mark))
    second = engine.answer(marked(chat(spec, DOCUMENT + "six"), **mark))

    assert admitted(first).marked_tokens == OPENED + len(DOCUMENT)
    assert admitted(second).cached_tokens == OPENED + len(DOCUMENT)


@pytest.mark.parametrize("architecture", ["llama"])
@pytest.mark.parametrize(
    ("mark", "beginning"),
    [
        ({"messages": 1, "characters": 0}, ("<|system|>",)),
        ({"messages": 1, "characters": 3}, ("<|system|>", *"Sho")),
        ({"messages": 1}, ("<|system|>", *"Short", "<|end|>")),
        ({"messages": 2, "characters": 2}, ("<|system|>", *"Short", "<|end|>", "<|user|>", *"Pa")),
    ],
)
def test_a_mark_is_found_in_the_prompt(engine, spec, mark, beginning):
    asked = engine.answer(marked(chat(spec, "Paris", system="Short"), **mark))

    assert admitted(asked).marked_tokens == len(beginning)


@pytest.mark.parametrize("architecture", ["llama"])
def test_a_mark_behind_everything_is_the_whole_prompt(engine, spec):
    prompt = admitted(engine.answer(marked(chat(spec, "Paris", system="Short"), messages=2)))

    assert prompt.marked_tokens == prompt.prompt_tokens


@pytest.mark.parametrize("architecture", ["llama"])
def test_without_a_mark_none_is_told(engine, spec):
    assert admitted(engine.answer(chat(spec, "Where"))).marked_tokens == 0
