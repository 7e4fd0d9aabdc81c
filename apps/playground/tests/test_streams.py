"""What a follower is sent, over ASGI, over WSGI, and from what is stored."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from apps.playground import streams
from apps.playground.models import Message
from apps.playground.transcript import Progress, Transcript
from apps.rendering.markdown import render_live, render_markdown


@dataclass
class Event:
    name: str
    id: str
    data: dict[str, object]


def parse(stream: bytes) -> list[Event]:
    events = []
    for block in stream.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
        if "event" in fields:
            events.append(Event(fields["event"], fields.get("id", ""), json.loads(fields["data"])))
    return events


def text_of(events: list[Event]) -> str:
    return "".join(str(event.data["text"]) for event in events if event.name == "text")


@given(
    pieces=st.lists(st.text(min_size=1), max_size=12),
    losses=st.lists(st.integers(min_value=0, max_value=3), max_size=12),
)
def test_whatever_is_lost_on_the_way_the_follower_ends_with_the_text(
    pieces: list[str], losses: list[int]
) -> None:
    """A connection is lost after some of the events; the next one goes on from the last id."""
    transcript = Transcript()
    frames, seen, last_id = streams.TextFrames(0), "", 0
    for index, piece in enumerate(pieces):
        transcript.append(piece)
        events = parse(frames.for_view(transcript.since(frames.offset)))
        if index < len(losses) and losses[index] == 0:
            frames = streams.TextFrames(last_id)  # sent, but never arrived
            continue
        seen += text_of(events)
        last_id = int(events[-1].id)
        if index < len(losses) and losses[index] == 1:
            frames = streams.TextFrames(last_id)
    transcript.settle()
    events = parse(streams.TextFrames(last_id).for_view(transcript.since(last_id)))

    assert seen + text_of(events) == "".join(pieces)
    assert events[-1].name == "end"


@given(text=st.text(), offset=st.integers(min_value=0, max_value=50))
def test_a_stored_answer_is_replayed_from_any_offset(text: str, offset: int) -> None:
    events = parse(streams.replay(Message(content=text), offset))

    assert text_of(events) == text[offset:]
    assert [event.name for event in events][-1] == "end"


async def collect(frames: AsyncIterator[bytes]) -> list[Event]:
    return parse(b"".join([frame async for frame in frames]))


async def test_two_followers_see_the_same() -> None:
    transcript = Transcript()
    followers = [
        asyncio.create_task(collect(streams.follow(transcript, streams.TextFrames(offset))))
        for offset in (0, 4)
    ]
    await asyncio.to_thread(transcript.append, "The capital")
    await asyncio.to_thread(transcript.append, " is Paris.")
    await asyncio.to_thread(transcript.settle)
    first, second = await asyncio.gather(*followers)

    assert text_of(first) == "The capital is Paris."
    assert text_of(second) == "capital is Paris."


async def test_progress_comes_before_the_text_and_has_no_id() -> None:
    transcript = Transcript()
    frames = streams.follow(transcript, streams.TextFrames(0))
    await anext(frames)
    transcript.advance(Progress("reading", 512, 2000))
    (event,) = parse(await anext(frames))
    await frames.aclose()

    assert event == Event("progress", "", {"phase": "reading", "done": 512, "total": 2000})


async def test_silence_is_filled_with_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT", 0.001)
    frames = streams.follow(Transcript(), streams.TextFrames(0))
    await anext(frames)

    assert (await anext(frames)).startswith(b":")
    await frames.aclose()


async def test_a_follower_that_leaves_is_forgotten() -> None:
    transcript = Transcript()
    frames = streams.follow(transcript, streams.TextFrames(0))
    await anext(frames)
    assert len(transcript._wakes) == 1
    await frames.aclose()

    assert not transcript._wakes


def test_wsgi_followers_see_the_same() -> None:
    transcript = Transcript()
    transcript.append("The capital is Paris.")
    transcript.settle()

    assert (
        text_of(parse(b"".join(streams.follow_blocking(transcript, streams.TextFrames(4)))))
        == "capital is Paris."
    )


@pytest.mark.parametrize(
    ("after", "last_event_id", "offset"),
    [
        ("", None, 0),
        ("12", None, 12),
        ("12", "20", 20),
        ("-3", None, 0),
        ("x", "²", 0),
        ("9" * 5000, None, 0),
    ],
)
def test_the_last_event_id_goes_before_the_address(
    after: str, last_event_id: str | None, offset: int
) -> None:
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    request = RequestFactory().get("/", {"after": after}, headers=headers)

    assert streams.offset_asked_for(request) == offset


MARKDOWN = ["# Title\n", "\n", "A *word*", " or two.\n\n", "- one\n", "- two\n\n", "```python\n"]
MARKDOWN += [
    "x = 1\n",
    "```\n",
    "\n| a | b |\n",
    "|---|---|\n",
    "| 1 | 2 |\n\n",
    "> quoted\r\n\r\n",
]


@given(
    pieces=st.lists(st.sampled_from(MARKDOWN), max_size=15),
    lost=st.lists(st.booleans(), min_size=15, max_size=15),
)
def test_rendered_blocks_add_up_whatever_is_lost(pieces: list[str], lost: list[bool]) -> None:
    """Closed blocks are appended once, however often the connection is lost."""
    transcript = Transcript()
    frames, closed, last_id = streams.HtmlFrames(0), "", 0
    source = ""
    for piece, is_lost in zip(pieces, lost, strict=False):
        transcript.append(piece)
        source += piece
        (event,) = parse(frames.for_view(transcript.since(frames.offset)))
        if is_lost:
            frames = streams.HtmlFrames(last_id)
            continue
        closed, last_id = closed + str(event.data["closed"]), int(event.id)
        assert last_id <= len(source)
    rest = render_live(source[last_id:])

    assert words(closed + rest.closed + rest.open) == words(render_markdown(source))


def words(html: str) -> list[str]:
    return re.sub(r"<[^>]+>", " ", html).split()
