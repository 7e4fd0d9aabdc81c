"""Tool calls in an answer's text: found where they open, and told in events.

A marker that has begun is held back until it is one or is not. What opened like a call
and turns out not to be one is text again, so nothing that a model writes gets lost.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from apps.inference.engine.protocol import (
    Reasoning,
    Tool,
    ToolCallArguments,
    ToolCallStart,
)
from apps.inference.engine.text.markers import first_marker, possible_start
from apps.inference.engine.text.tools.formats import (
    Arguments,
    CallBody,
    Name,
    Opening,
    Part,
    Plain,
    ToolFormat,
)


@dataclass(frozen=True)
class Content:
    """Text of the answer itself."""

    text: str


@dataclass(frozen=True)
class Aside:
    """What ``length`` characters of the answer say beside its text; markers say nothing."""

    length: int
    events: tuple[Reasoning | ToolCallStart | ToolCallArguments, ...] = ()


Span = Content | Aside


@dataclass(frozen=True)
class Offer:
    """What of tools one request may get to see in its answer."""

    format: ToolFormat
    tools: tuple[Tool, ...]
    parallel: bool
    enforced: bool
    """Whether a grammar keeps calls in form once they are opened."""


class CallReader:
    """Splits an answer's text into content and calls."""

    def __init__(self, offer: Offer) -> None:
        self._offer = offer
        self._anywhere = {o.text: o for o in offer.format.openings if not o.at_start}
        self._at_start = {o.text: o for o in offer.format.openings if o.at_start}
        self._held = ""
        """What may be a marker's beginning, or white space around calls."""
        self._body: CallBody | None = None
        self._unaccounted = 0
        """Characters that the body has and that no span told yet."""
        self._blank = True
        """Whether no content was told since the answer's beginning, or since a call."""
        self._begun = False
        self.calls = 0
        """How many calls were told."""
        self.complete = False
        """Whether nothing may follow: one call was allowed, and is over."""

    def feed(self, text: str) -> list[Span]:
        """The spans that this text makes certain, in order."""
        spans: list[Span] = []
        while text and not self.complete:
            if self._body is not None:
                text = self._read_body(self._body, text, spans)
            else:
                text = self._read_content(text, spans)
        return spans

    def close(self) -> list[Span]:
        """The answer is over."""
        spans: list[Span] = []
        if self._body is not None:
            self._tell(self._body.close(), spans)
            self._settle(spans)
        elif self._held.isspace() and self.calls:
            spans.append(Aside(len(self._held)))
        else:
            self._add_content(self._held, spans)
        self._held = ""
        return spans

    def _read_content(self, text: str, spans: list[Span]) -> str:
        """Go on to the next opening; returns what follows it."""
        pending, self._held = self._held + text, ""
        opened = self._opening(pending)
        if opened is None:
            keep = self._certain(pending)
            self._add_content(pending[:keep], spans)
            self._held = pending[keep:]
            return ""
        at, opening = opened
        before = pending[:at]
        if before.isspace() and self._blank:
            spans.append(Aside(at))
        else:
            self._add_content(before, spans)
        offer = self._offer
        self._body = offer.format.body(opening, offer.tools, enforced=offer.enforced)
        self._unaccounted = len(opening.text)
        self._begun = True
        behind = pending[at + len(opening.text) :]
        if not behind:
            return ""
        return self._read_body(self._body, behind, spans)

    def _opening(self, text: str) -> tuple[int, Opening] | None:
        if not self._begun:
            stripped = text.lstrip()
            for marker, opening in self._at_start.items():
                if stripped.startswith(marker):
                    return len(text) - len(stripped), opening
        first = first_marker(text, tuple(self._anywhere))
        return None if first is None else (first[0], self._anywhere[first[1]])

    def _certain(self, text: str) -> int:
        """How much of ``text`` is content whatever follows."""
        if self._blank:
            stripped = text.lstrip()
            if not stripped:
                return 0
            if not self._begun and any(m.startswith(stripped) for m in self._at_start):
                return 0
        keep = possible_start(text, tuple(self._anywhere))
        return 0 if self._blank and text[:keep].isspace() else keep

    def _add_content(self, text: str, spans: list[Span]) -> None:
        if text:
            spans.append(Content(text))
            self._blank, self._begun = False, True

    def _read_body(self, body: CallBody, text: str, spans: list[Span]) -> str:
        parts = body.feed(text)
        self._unaccounted += len(text) - len(body.rest)
        self._tell(parts, spans)
        if body.finished:
            self._settle(spans)
            self._body, self._blank = None, True
            self.complete = self.complete or (self.calls > 0 and not self._offer.parallel)
        return body.rest

    def _tell(self, parts: Sequence[Part], spans: list[Span]) -> None:
        events: list[Reasoning | ToolCallStart | ToolCallArguments] = []
        for part in parts:
            match part:
                case Name(name):
                    if self.calls and not self._offer.parallel:
                        self.complete = True
                        break
                    call_id = f"call_{uuid.uuid4().hex[:24]}"
                    events.append(ToolCallStart(index=self.calls, id=call_id, name=name))
                    self.calls += 1
                case Arguments(text):
                    events.append(ToolCallArguments(index=self.calls - 1, text=text))
                case Plain(text):
                    self._unaccounted = 0
                    self._add_content(text, spans)
        if events:
            spans.append(Aside(self._unaccounted, tuple(events)))
            self._unaccounted = 0

    def _settle(self, spans: list[Span]) -> None:
        """Account for what was read of a call and says nothing, such as its closing marker."""
        if self._unaccounted:
            spans.append(Aside(self._unaccounted))
            self._unaccounted = 0
