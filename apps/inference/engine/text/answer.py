"""An answer's text as it grows: tokens in, final text and the reason it ended out."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any, Literal

from apps.inference.engine.text.detokenizer import Detokenizer
from apps.inference.engine.text.stops import StopMatcher


@dataclass(frozen=True)
class Piece:
    """``text`` may be empty; ``finish_reason`` is set on the last piece."""

    text: str
    finish_reason: Literal["stop", "length"] | None


class AnswerText:
    def __init__(
        self, tokenizer: Any, *, stops: tuple[str, ...], end_tokens: Set[int], max_tokens: int
    ) -> None:
        self._detokenizer = Detokenizer(tokenizer)
        self._matcher = StopMatcher(stops)
        self._end_tokens = end_tokens
        self._left = max_tokens

    def feed(self, token: int) -> Piece:
        """The text that this token makes final."""
        self._left -= 1
        if token in self._end_tokens:
            return Piece(self._matcher.flush(), "stop")
        text = self._matcher.feed(self._detokenizer.feed(token))
        if self._matcher.stopped:
            return Piece(text, "stop")
        if self._left == 0:
            return Piece(text + self._matcher.flush(), "length")
        return Piece(text, None)
