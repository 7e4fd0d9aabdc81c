"""An answer's text as it grows: tokens in, final text and the reason it ended out."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any, Literal

from apps.inference.engine.protocol import TokenLogprob
from apps.inference.engine.sampling.logprobs import ChosenToken
from apps.inference.engine.text.detokenizer import Detokenizer
from apps.inference.engine.text.stops import StopMatcher
from apps.inference.engine.text.trail import LogprobTrail
from apps.inference.engine.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Piece:
    """``text`` may be empty; ``finish_reason`` is set on the last piece."""

    text: str
    finish_reason: Literal["stop", "length"] | None
    logprobs: tuple[TokenLogprob, ...] = ()
    """Of the tokens that are final with this piece; end tokens and stop strings have none."""


class AnswerText:
    def __init__(
        self,
        tokenizer: Any,
        *,
        stops: tuple[str, ...],
        end_tokens: Set[int],
        max_tokens: int,
        vocabulary: Vocabulary | None = None,
    ) -> None:
        """``vocabulary``: given where log probabilities are to be reported."""
        self._detokenizer = Detokenizer(tokenizer)
        self._matcher = StopMatcher(stops)
        self._end_tokens = end_tokens
        self._left = max_tokens
        self._sent = 0
        self._trail = LogprobTrail(vocabulary) if vocabulary is not None else None

    def feed(self, token: int, chosen: ChosenToken | None = None) -> Piece:
        """The text that this token makes final."""
        self._left -= 1
        if token in self._end_tokens:
            return self._last(self._matcher.flush(), "stop")
        decoded = self._detokenizer.feed(token)
        if self._trail is not None and chosen is not None:
            self._trail.add(chosen, len(decoded))
        text = self._matcher.feed(decoded)
        if self._matcher.stopped:
            cut = self._sent + len(text)
            return Piece(text, "stop", self._trail.before(cut) if self._trail else ())
        if self._left == 0:
            return self._last(text + self._matcher.flush(), "length")
        self._sent += len(text)
        return Piece(text, None, self._trail.within(self._sent) if self._trail else ())

    def _last(self, text: str, reason: Literal["stop", "length"]) -> Piece:
        return Piece(text, reason, self._trail.rest() if self._trail else ())
