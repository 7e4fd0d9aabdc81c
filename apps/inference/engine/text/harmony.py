"""Answers in channels as a client is told them: thoughts, content and calls apart."""

from __future__ import annotations

import json
import re
import uuid
from typing import Literal

from apps.inference.engine.protocol import Reasoning, ToolCallArguments, ToolCallStart
from apps.inference.engine.text.continuing import Within
from apps.inference.engine.text.markers import first_marker, possible_start
from apps.inference.engine.text.tool_calls import Aside, Content, Offer, Span
from apps.inference.engine.text.tools.harmony import CHANNEL, END, MESSAGE, START

_HEADERS = (CHANNEL, START, "assistant", "to=")
"""What a message's header may begin with."""

_RECIPIENT = re.compile(r"to=(?:functions\.)?([\w.-]+)")
_ENDS = (END, START)


class HarmonyReader:
    """``AnswerReader`` for gpt-oss; however the text is cut into pieces, the same is told."""

    def __init__(self, offer: Offer | None, *, within: Within | None = None) -> None:
        """``within``: the message that the text goes on with, where it is not an answer's first."""
        self._offer = offer
        self._names = frozenset(tool.name for tool in offer.tools) if offer else frozenset()
        self._kind: Literal["header", "thought", "content", "call"] = within or "header"
        self._held = ""
        """What was not read yet."""
        self._name = ""
        self._arguments = ""
        """Of a call that is told when it is whole."""
        self.calls = 0

    @property
    def complete(self) -> bool:
        """Never: the model ends its turns itself, also behind a call."""
        return False

    @property
    def reasoning(self) -> bool:
        """Whether the model is thinking."""
        return self._kind == "thought"

    def feed(self, text: str) -> list[Span]:
        """The spans that this text makes certain, in order."""
        self._held += text
        spans: list[Span] = []
        while self._held and (self._header(spans) if self._kind == "header" else self._body(spans)):
            pass
        return spans

    def close(self) -> list[Span]:
        """The answer is over: nothing is held back any longer."""
        held, self._held = self._held, ""
        spans: list[Span] = []
        if self._kind == "header":
            if held:
                spans.append(Aside(len(held)) if held.startswith(_HEADERS) else Content(held))
            return spans
        self._tell(held, spans)
        self._end(spans)
        return spans

    def _header(self, spans: list[Span]) -> bool:
        """Read a message's header; whether there is more to be read now."""
        begun = self._held.lstrip()
        if not begun.startswith(_HEADERS) and not any(each.startswith(begun) for each in _HEADERS):
            self._kind = "content"  # without a header, so for the reader
            return True
        header, found, self._held = self._held.partition(MESSAGE)
        if not found:
            self._held = header
            return False
        spans.append(Aside(len(header) + len(found)))
        recipient = _RECIPIENT.search(header)
        if recipient and self._offer is not None:
            self._open(recipient[1], spans)
        else:
            self._kind = "thought" if f"{CHANNEL}analysis" in header else "content"
        return True

    def _body(self, spans: list[Span]) -> bool:
        """Go on to the message's end; whether there is more to be read now."""
        end = first_marker(self._held, _ENDS)
        if end is None:
            keep = possible_start(self._held, _ENDS)
            certain, self._held = self._held[:keep], self._held[keep:]
            self._tell(certain, spans)
            return False
        at, marker = end
        self._tell(self._held[:at], spans)
        self._end(spans)
        # A new message's start belongs to its header.
        behind = at + (len(marker) if marker == END else 0)
        spans.append(Aside(behind - at))
        self._kind, self._held = "header", self._held[behind:]
        return True

    def _open(self, name: str, spans: list[Span]) -> None:
        self._kind, self._name, self._arguments = "call", name, ""
        if self._offer is not None and self._offer.enforced:
            spans.append(Aside(0, (self._started(),)))

    def _tell(self, text: str, spans: list[Span]) -> None:
        if not text:
            return
        if self._kind == "thought":
            spans.append(Aside(len(text), (Reasoning(text=text),)))
        elif self._kind == "content":
            spans.append(Content(text))
        elif self._offer is not None and self._offer.enforced:
            told = ToolCallArguments(index=self.calls - 1, text=text)
            spans.append(Aside(len(text), (told,)))
        else:
            self._arguments += text

    def _end(self, spans: list[Span]) -> None:
        """A message is over: tell a call that was held back, as text where it is none."""
        given, self._arguments = self._arguments, ""
        if not given:
            return
        if self._name not in self._names or not _is_object(given):
            spans.append(Content(given))
            return
        started = self._started()
        arguments = ToolCallArguments(index=started.index, text=given)
        spans.append(Aside(len(given), (started, arguments)))

    def _started(self) -> ToolCallStart:
        self.calls += 1
        call_id = f"call_{uuid.uuid4().hex[:24]}"
        return ToolCallStart(index=self.calls - 1, id=call_id, name=self._name)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
