"""Stop strings cut the text at the first occurrence and never leak a part of themselves."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from apps.inference.engine.text.stops import StopMatcher

# A small alphabet makes partial and overlapping matches common.
texts = st.text(alphabet="abc", max_size=40)
stop_lists = st.lists(st.text(alphabet="abc", min_size=1, max_size=5), min_size=1, max_size=4)


def run(pieces, stops):
    matcher = StopMatcher(stops)
    shown = ""
    for piece in pieces:
        shown += matcher.feed(piece)
        if matcher.stopped:
            return shown, True
    return shown + matcher.flush(), False


def split(text, cuts):
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in itertools.pairwise(edges)]


@given(texts, stop_lists, st.lists(st.integers(0, 100), max_size=10))
def test_any_split_of_a_text_gives_the_text_up_to_a_stop(text, stops, cuts):
    shown, stopped = run(split(text, cuts), stops)
    found = [(at + len(stop), at) for stop in stops if (at := text.find(stop)) >= 0]
    assert stopped == bool(found)
    # A long stop that began earlier may be overtaken by a short one that was whole first.
    assert shown == (text[: min(found)[1]] if found else text)


@given(texts, st.text(alphabet="abc", min_size=1, max_size=5), st.lists(st.integers(0, 100)))
def test_one_stop_shows_exactly_what_comes_before_it(text, stop, cuts):
    shown, _ = run(split(text, cuts), [stop])
    assert shown == text.partition(stop)[0]


def test_the_earliest_of_several_stops_in_one_piece_wins():
    assert run(["one two three"], ["three", "two"]) == ("one ", True)


def test_without_stops_text_passes_at_once():
    matcher = StopMatcher([])
    assert matcher.feed("abc") == "abc"


def test_held_text_comes_out_at_the_end():
    matcher = StopMatcher(["END"])
    assert matcher.feed("the E") == "the "
    assert matcher.flush() == "E"
