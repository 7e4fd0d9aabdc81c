"""An answer's text as a client is told it: thoughts, content and calls apart."""

from __future__ import annotations

from typing import Protocol

from apps.inference.engine.protocol import Reasoning
from apps.inference.engine.text.continuing import Within
from apps.inference.engine.text.markers import first_marker, possible_start
from apps.inference.engine.text.reasoning import Beginning, ReasoningMarks
from apps.inference.engine.text.tool_calls import Aside, CallReader, Content, Offer, Span


class Reader(Protocol):
    """Splits an answer's text, which comes in pieces, into what a client is told."""

    @property
    def reasoning(self) -> bool:
        """Whether the model is thinking."""
        ...

    @property
    def calls(self) -> int:
        """How many calls were told."""
        ...

    @property
    def complete(self) -> bool:
        """Whether nothing may follow any more."""
        ...

    def feed(self, text: str) -> list[Span]:
        """The spans that this text makes certain, in order."""
        ...

    def close(self) -> list[Span]:
        """The answer is over: nothing is held back any longer."""
        ...


class AnswerReader:
    """Splits text that comes in pieces; however it is split, the same is told."""

    def __init__(
        self,
        marks: ReasoningMarks | None,
        beginning: Beginning,
        offer: Offer | None,
        *,
        within: Within | None = None,
    ) -> None:
        """``beginning``: how the answer begins, where the model has ``marks``.

        ``within``: what the text goes on with, where it is not an answer's first.
        """
        self._marks = marks
        self._state: Beginning = beginning if marks is not None else "none"
        self._calls = CallReader(offer) if offer is not None else None
        self._held = ""
        self._swallow = self._state == "open" and within is None
        """Whether line breaks come now that belong to a mark."""

    @property
    def reasoning(self) -> bool:
        """Whether the model is thinking."""
        return self._state == "open"

    @property
    def calls(self) -> int:
        """How many calls were told."""
        return self._calls.calls if self._calls else 0

    @property
    def complete(self) -> bool:
        """Whether nothing may follow any more."""
        return self._calls is not None and self._calls.complete

    def feed(self, text: str) -> list[Span]:
        """The spans that this text makes certain, in order."""
        spans: list[Span] = []
        if self._state == "possible":
            text = self._begin(text, spans)
        if self._state == "open":
            text = self._think(text, spans)
        if self._state == "none" and text:
            spans += self._answer(text)
        return spans

    def close(self) -> list[Span]:
        """The answer is over: nothing is held back any longer."""
        held, self._held = self._held, ""
        spans: list[Span] = []
        if self._state == "open":
            if held:
                spans.append(_thought(held))
            return spans
        if held:
            spans += self._content(held)
        return [*spans, *(self._calls.close() if self._calls else [])]

    def _begin(self, text: str, spans: list[Span]) -> str:
        """The answer's very beginning: does it open a span?"""
        assert self._marks is not None
        text, self._held = self._held + text, ""
        stripped = text.lstrip()
        if stripped.startswith(self._marks.start):
            self._state, self._swallow = "open", True
            behind = stripped[len(self._marks.start) :]
            spans.append(Aside(len(text) - len(behind)))
            return behind
        if self._marks.start.startswith(stripped):
            self._held = text
            return ""
        self._state = "none"
        return text

    def _think(self, text: str, spans: list[Span]) -> str:
        """Returns what follows the end of the span."""
        assert self._marks is not None
        text, self._held = self._held + text, ""
        text = self._without_breaks(text, spans)
        end = first_marker(text, (self._marks.end,))
        if end is None:
            keep = possible_start(text, (self._marks.end,))
            # Line breaks may be those before the end mark, which nobody wrote.
            keep = len(text[:keep].rstrip("\n"))
            if keep:
                spans.append(_thought(text[:keep]))
            self._held = text[keep:]
            return ""
        thought = text[: end[0]].rstrip("\n")
        if thought:
            spans.append(_thought(thought))
        behind = text[end[0] + len(self._marks.end) :]
        spans.append(Aside(len(text) - len(thought) - len(behind)))
        self._state, self._swallow = "none", True
        return behind

    def _answer(self, text: str) -> list[Span]:
        spans: list[Span] = []
        text = self._without_breaks(text, spans)
        return [*spans, *self._content(text)] if text else spans

    def _content(self, text: str) -> list[Span]:
        return self._calls.feed(text) if self._calls else [Content(text)]

    def _without_breaks(self, text: str, spans: list[Span]) -> str:
        """Leave out the line breaks behind a mark."""
        if not self._swallow or not text:
            return text
        rest = text.lstrip("\n")
        self._swallow = not rest
        if len(rest) < len(text):
            spans.append(Aside(len(text) - len(rest)))
        return rest


def _thought(text: str) -> Aside:
    return Aside(len(text), (Reasoning(text=text),))
