"""Constraints that hold for parts of an answer: behind thoughts, and in calls that were opened."""

import numpy as np
import pytest

from apps.inference.engine.errors import InvalidRequest
from apps.inference.engine.protocol import Grammar
from apps.inference.engine.sampling.grammar import Grammars
from apps.inference.engine.sampling.stages import AfterReasoning, OnceOpened, Spelling
from apps.inference.engine.tests.tiny import write_tiny_model

VOCABULARY = 260
LUMP = 9000
"""A token that ends an opening and goes on behind it."""
BAD_LUMP = 9001


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    from mlx_lm.tokenizer_utils import load

    return load(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def grammars(tokenizer):
    return Grammars(tokenizer)


@pytest.fixture(scope="module")
def spelling(tokenizer, grammars):
    lumps = {LUMP: b"l>a", BAD_LUMP: b"l>?"}

    def bytes_of(token):
        return lumps.get(token) or tokenizer.decode([token]).encode()

    return Spelling(bytes_of, grammars.tokens_of)


@pytest.fixture
def letters(grammars):
    """Makes constraints to one to three letters a and b and an exclamation mark."""
    grammar = Grammar(kind="regex", text="[ab]{1,3}!")
    return lambda: grammars.constraint(grammar)


@pytest.fixture
def say(tokenizer):
    def tell(rule, text):
        for token in tokenizer.encode(text, add_special_tokens=False):
            rule.accept(token)

    return tell


@pytest.fixture
def allowed(tokenizer):
    def texts(rule):
        """What may come next; everything as a star."""
        mask = rule.mask(VOCABULARY)
        if mask.all():
            return "*"
        return "".join(sorted(tokenizer.decode([int(token)]) for token in np.flatnonzero(mask)))

    return texts


def test_everything_may_come_until_a_call_is_opened(spelling, letters, say, allowed):
    rule = OnceOpened(spelling, openings={b"<call>": letters}, at_start={})
    say(rule, "Well, <cal, ")
    assert allowed(rule) == "*"
    say(rule, "<call>")
    assert allowed(rule) == "ab"
    say(rule, "ab")
    assert allowed(rule) == "!ab"
    say(rule, "!")
    assert allowed(rule) == "*"
    say(rule, " again <call>")
    assert allowed(rule) == "ab"


def test_a_token_may_hold_an_opening_and_what_follows_it(spelling, letters, say, allowed):
    rule = OnceOpened(spelling, openings={b"<call>": letters}, at_start={})
    say(rule, "<cal")
    rule.accept(LUMP)
    assert allowed(rule) == "!ab"


def test_what_goes_on_otherwise_behind_an_opening_is_let_be(spelling, letters, say, allowed):
    rule = OnceOpened(spelling, openings={b"<call>": letters}, at_start={})
    say(rule, "<cal")
    rule.accept(BAD_LUMP)
    assert allowed(rule) == "*"
    rule.check(4)


def test_some_openings_count_at_the_beginning_only(spelling, letters, say, allowed):
    rule = OnceOpened(spelling, openings={}, at_start={b"{": letters})
    say(rule, " \n")
    assert allowed(rule) == "*"
    say(rule, "{")
    assert allowed(rule) == "ab"
    rule = OnceOpened(spelling, openings={}, at_start={b"{": letters})
    say(rule, "x {")
    assert allowed(rule) == "*"


def test_an_answer_that_goes_on_later_goes_on_in_its_call(spelling, letters, tokenizer, allowed):
    rule = OnceOpened(spelling, openings={b"<call>": letters}, at_start={})
    rule.resume(tokenizer.encode("x <call>ab", add_special_tokens=False))
    assert allowed(rule) == "!ab"
    rule.resume(())
    assert allowed(rule) == "*"


def test_a_call_that_cannot_go_on_fails_at_its_token(spelling, letters, say):
    rule = OnceOpened(spelling, openings={b"<call>": letters}, at_start={})
    say(rule, "x<call>a?")
    rule.check(7)
    with pytest.raises(InvalidRequest, match="could not be followed"):
        rule.check(8)


def test_thoughts_are_free_and_what_follows_is_not(spelling, letters, say, allowed):
    rule = AfterReasoning(letters(), spelling, end=b"</t>", opened=True)
    say(rule, "?? </")
    assert allowed(rule) == "*"
    say(rule, "t>")
    assert allowed(rule) == "ab"
    say(rule, "a!")
    rule.resume(())
    assert allowed(rule) == "*"


def test_an_answer_may_begin_with_thoughts_or_without(spelling, letters, say, allowed, tokenizer):
    start = tokenizer.encode("§"[:1], add_special_tokens=False)[0]
    think = tokenizer.encode("T", add_special_tokens=False)[0]
    rule = AfterReasoning(letters(), spelling, end=b"/", opened=False, start=think)
    assert allowed(rule) == "Tab"
    say(rule, "T")
    assert allowed(rule) == "*"
    rule = AfterReasoning(letters(), spelling, end=b"/", opened=False, start=start)
    say(rule, "b")
    assert allowed(rule) == "!ab"


def test_failures_behind_thoughts_are_found_where_they_are(spelling, letters, say):
    rule = AfterReasoning(letters(), spelling, end=b"/", opened=True)
    say(rule, "xx/a?")
    rule.check(3)
    with pytest.raises(InvalidRequest):
        rule.check(4)
