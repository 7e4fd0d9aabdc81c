"""One writer, any number of followers, and nothing lost or said twice."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from apps.playground.transcript import Progress, Transcript

pieces = st.lists(st.text(min_size=1), max_size=20)


@given(pieces=pieces, data=st.data())
def test_a_follower_that_comes_and_goes_sees_exactly_the_text(
    pieces: list[str], data: st.DataObject
) -> None:
    transcript = Transcript()
    seen, offset = "", 0
    for piece in pieces:
        transcript.append(piece)
        if data.draw(st.booleans()):
            view = transcript.since(offset)
            seen, offset = seen + view.text, view.offset
    seen += transcript.since(offset).text

    assert seen == transcript.text == "".join(pieces)


@given(pieces=pieces, offset=st.integers(min_value=0, max_value=200))
def test_what_follows_any_offset_is_the_rest(pieces: list[str], offset: int) -> None:
    transcript = Transcript()
    for piece in pieces:
        transcript.append(piece)

    assert transcript.since(offset).text == "".join(pieces)[offset:]


def test_every_change_wakes_every_follower() -> None:
    transcript = Transcript()
    woken: list[str] = []
    with (
        transcript.following(lambda: woken.append("first")),
        transcript.following(lambda: woken.append("second")),
    ):
        transcript.advance(Progress("reading", 1, 2))
        transcript.append("Paris")
        transcript.settle()

    assert sorted(woken) == ["first"] * 3 + ["second"] * 3


def test_who_stopped_following_is_left_alone() -> None:
    transcript = Transcript()
    woken: list[int] = []
    with transcript.following(lambda: woken.append(1)):
        pass
    transcript.append("Paris")

    assert woken == []


def test_the_first_words_end_the_reading_of_the_prompt() -> None:
    transcript = Transcript()
    transcript.advance(Progress("reading", 1, 2))
    transcript.append("Paris")

    assert transcript.since(0).progress == Progress("writing")


def test_a_follower_in_another_thread_sees_everything() -> None:
    transcript = Transcript()
    changed = threading.Event()
    seen: list[str] = []

    def follow() -> None:
        offset = 0
        with transcript.following(changed.set):
            started.set()
            while True:
                changed.clear()
                view = transcript.since(offset)
                seen.append(view.text)
                offset = view.offset
                if view.settled:
                    return
                changed.wait()

    started = threading.Event()
    follower = threading.Thread(target=follow)
    follower.start()
    started.wait()
    for number in range(500):
        transcript.append(f"{number} ")
    transcript.settle()
    follower.join(60)

    assert "".join(seen) == transcript.text
