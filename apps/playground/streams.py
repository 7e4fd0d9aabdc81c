"""A running answer as server-sent events.

``text`` carries the text since the last one and, as its id, the offset after
it: a browser that reconnects sends that id back and gets exactly the rest.
Asked for HTML, ``blocks`` takes its place: Markdown blocks that are complete,
to be appended, and the one still being written, to be replaced; the id is the
offset where that one starts. ``progress`` says what the engine does before the
first word. ``end`` is last; the page then fetches the stored message. A comment
every HEARTBEAT seconds lets both sides notice a lost connection.

A follower wakes when the transcript changes; nothing is polled.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import asdict

from django.http import HttpRequest

from apps.playground.addresses import whole_number
from apps.playground.models import Message
from apps.playground.transcript import Progress, Transcript, View
from apps.rendering.markdown import render_live

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent."""

RENDER_INTERVAL = 0.1
"""Seconds between two renderings of the block that is being written."""

RENDER_SHARE = 10
"""One rendering may cost a tenth of the time until the next."""

CONTENT_TYPE = "text/event-stream"

_RECONNECT_MS = 1000
_OPENING = f"retry: {_RECONNECT_MS}\n\n".encode()
_STILL_HERE = b": still here\n\n"


def offset_asked_for(request: HttpRequest) -> int:
    """How many characters the follower has already; 0 for anything unreadable."""
    given = request.headers.get("Last-Event-ID") or request.GET.get("after", "")
    return whole_number(given, otherwise=0)


def frames_asked_for(request: HttpRequest) -> TextFrames:
    """``?as=html`` asks for rendered blocks."""
    kind = HtmlFrames if request.GET.get("as") == "html" else TextFrames
    return kind(offset_asked_for(request))


async def follow(transcript: Transcript, frames: TextFrames) -> AsyncIterator[bytes]:
    """The events that ``frames`` lacks, for ASGI; ends with the answer."""
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wake() -> None:
        with suppress(RuntimeError):  # the server's loop has closed: nobody is left to tell
            loop.call_soon_threadsafe(changed.set)

    with transcript.following(wake):
        yield _OPENING
        while not frames.over:
            changed.clear()
            view = transcript.since(frames.offset)
            # Rendering takes milliseconds that other followers need.
            if chunk := await asyncio.to_thread(frames.for_view, view):
                yield chunk
                await asyncio.sleep(frames.pause)
                continue
            try:
                async with asyncio.timeout(HEARTBEAT):
                    await changed.wait()
            except TimeoutError:
                yield _STILL_HERE


def follow_blocking(transcript: Transcript, frames: TextFrames) -> Iterator[bytes]:
    """The same events, for WSGI servers; holds the thread that iterates."""
    changed = threading.Event()
    with transcript.following(changed.set):
        yield _OPENING
        while not frames.over:
            changed.clear()
            if chunk := frames.for_view(transcript.since(frames.offset)):
                yield chunk
                time.sleep(frames.pause)
            elif not changed.wait(HEARTBEAT):
                yield _STILL_HERE


def replay(message: Message, offset: int) -> bytes:
    """The rest of an answer that is over, from what is stored."""
    view = View(message.content[offset:], len(message.content), Progress("writing"), settled=True)
    return _OPENING + TextFrames(offset).for_view(view)


class TextFrames:
    """What one follower has been sent, and the events for what it has not."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        """Where the text that the next view should hold begins."""
        self.over = False
        self.pause = 0.0
        """Seconds to wait before the next view is worth its work."""
        self._length = -1
        self._progress = Progress()

    def for_view(self, view: View) -> bytes:
        """Empty where the view holds nothing new."""
        chunk = b""
        # The text first: an answer that goes on has some while the engine reads the prompt.
        if view.text and view.offset != self._length:
            chunk += self._said(view)
        if view.progress != self._progress and view.progress.phase != "writing":
            chunk += _event("progress", asdict(view.progress))
        if view.settled:
            chunk += _event("end", {})
        self.over, self._progress, self._length = view.settled, view.progress, view.offset
        return chunk

    def _said(self, view: View) -> bytes:
        self.offset = view.offset
        return _event("text", {"text": view.text}, self.offset)


class HtmlFrames(TextFrames):
    """The same as rendered Markdown, at most ten times a second."""

    def _said(self, view: View) -> bytes:
        started_at = time.perf_counter()
        blocks = render_live(view.text)
        # A very long block (a listing of a thousand lines) comes less often.
        self.pause = max(RENDER_INTERVAL, RENDER_SHARE * (time.perf_counter() - started_at))
        self.offset += blocks.closed_length
        return _event("blocks", {"closed": blocks.closed, "open": blocks.open}, self.offset)


def _event(name: str, data: dict[str, object], event_id: int | None = None) -> bytes:
    identity = "" if event_id is None else f"id: {event_id}\n"
    # JSON has no raw line breaks, so the data is one line whatever it says.
    return f"event: {name}\n{identity}data: {json.dumps(data)}\n\n".encode()
