"""How far token sequences agree."""

from hypothesis import given
from hypothesis import strategies as st

from apps.inference.engine.tokens import agreement

tokens = st.lists(st.integers(0, 2), max_size=20).map(tuple)


@given(tokens, tokens)
def test_agreement_is_the_length_of_the_common_beginning(one, other):
    agreed = agreement(one, other)
    assert one[:agreed] == other[:agreed]
    assert one[agreed : agreed + 1] != other[agreed : agreed + 1] or one == other


@given(tokens, tokens, st.integers(0, 5))
def test_an_offset_begins_later_in_the_second_sequence(one, other, at):
    at = min(at, len(other))
    assert agreement(one, other, at) == agreement(one, other[at:])
