"""An answer's text as it grows: tokens in, final text and the reason it ended out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal

from apps.inference.engine.protocol import (
    Delta,
    Reasoning,
    TokenLogprob,
    ToolCallArguments,
    ToolCallStart,
)
from apps.inference.engine.sampling.logprobs import ChosenToken
from apps.inference.engine.text.detokenizer import Detokenizer
from apps.inference.engine.text.reader import AnswerReader, Reader
from apps.inference.engine.text.stops import StopMatcher
from apps.inference.engine.text.tool_calls import Aside, Content, Span
from apps.inference.engine.text.trail import LogprobTrail
from apps.inference.engine.text.vocabulary import Vocabulary

FinishReason = Literal["stop", "length", "tool_calls"]
Told = Delta | Reasoning | ToolCallStart | ToolCallArguments


@dataclass(frozen=True)
class Piece:
    """What a token makes final; ``finish_reason`` is set on the last piece."""

    events: tuple[Told, ...]
    finish_reason: FinishReason | None

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Delta))

    @property
    def logprobs(self) -> tuple[TokenLogprob, ...]:
        """Of the tokens behind the text; end tokens and stop strings have none."""
        deltas = [event for event in self.events if isinstance(event, Delta)]
        return tuple(token for delta in deltas for token in delta.logprobs)


class AnswerText:
    def __init__(
        self,
        tokenizer: Any,
        *,
        stops: tuple[str, ...],
        end_tokens: Set[int],
        max_tokens: int,
        vocabulary: Vocabulary | None = None,
        reader: Reader | None = None,
        shown: Mapping[int, str] | None = None,
        after: Sequence[int] = (),
    ) -> None:
        """``vocabulary``: given where log probabilities are to be reported.

        ``reader``: given where the answer may hold more than text; stop strings count in
        its text alone. ``shown``: special tokens that the reader has to see.
        ``after``: the last tokens of the text that this one goes on from.
        """
        self._detokenizer = Detokenizer(tokenizer, shown=shown, after=after)
        self._matcher = StopMatcher(stops)
        self._end_tokens = end_tokens
        self._left = max_tokens
        self._reader: Reader = reader or AnswerReader(None, "none", None)
        self._sent = 0
        """Characters of the decoded answer that were told, or say nothing."""
        self._trail = LogprobTrail(vocabulary) if vocabulary is not None else None
        self.reasoning_tokens = 0

    @property
    def stop_string(self) -> str | None:
        """The stop string that ended the answer, if one did."""
        return self._matcher.found

    def feed(self, token: int, chosen: ChosenToken | None = None) -> Piece:
        """What this token makes final."""
        self._left -= 1
        self.reasoning_tokens += self._reader.reasoning
        if token in self._end_tokens:
            return self._last((), self._ended)
        decoded = self._detokenizer.feed(token)
        if self._trail is not None and chosen is not None:
            self._trail.add(chosen, len(decoded))
        events = self._told(self._reader.feed(decoded))
        if self._matcher.stopped or self._reader.complete:
            return Piece(tuple(events), self._ended)
        if self._left == 0:
            return self._last(events, "length")
        return Piece(tuple(events), None)

    @property
    def _ended(self) -> FinishReason:
        return "tool_calls" if self._reader.calls else "stop"

    def _last(self, events: Sequence[Told], reason: FinishReason) -> Piece:
        """Let go of everything that was held back."""
        last = [*events, *self._told(self._reader.close())]
        if self._matcher.stopped:
            return Piece(tuple(last), self._ended)
        text = self._matcher.flush()
        logprobs = self._trail.rest() if self._trail else ()
        if reason == "stop":
            reason = self._ended
        return Piece((*last, *_delta(text, logprobs)), reason)

    def _told(self, spans: Sequence[Span]) -> list[Told]:
        told: list[Told] = []
        for span in spans:
            if self._matcher.stopped:
                break
            if isinstance(span, Content):
                told += self._content(span.text)
            else:
                told += self._aside(span)
        return told

    def _content(self, text: str) -> tuple[Told, ...]:
        certain = self._matcher.feed(text)
        self._sent += len(certain)
        if self._trail is None:
            return _delta(certain, ())
        stopped = self._matcher.stopped
        release = self._trail.before if stopped else self._trail.within
        return _delta(certain, release(self._sent))

    def _aside(self, aside: Aside) -> tuple[Told, ...]:
        """No stop string goes on behind a thought or a call: what was held is text."""
        held = self._matcher.flush()
        self._sent += len(held)
        logprobs = self._trail.before(self._sent) if self._trail else ()
        self._sent += aside.length
        if self._trail is not None:
            self._trail.within(self._sent)  # not of the text: not reported
        return (*_delta(held, logprobs), *aside.events)


def _delta(text: str, logprobs: tuple[TokenLogprob, ...]) -> tuple[Delta, ...]:
    return (Delta(text=text, logprobs=logprobs),) if text or logprobs else ()
