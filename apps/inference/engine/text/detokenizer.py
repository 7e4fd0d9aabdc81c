"""Token ids to text, one at a time, in whole characters only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers.decoders import DecodeStream


class Detokenizer:
    """Incremental decoding over the tokenizers library's DecodeStream.

    A character whose bytes are spread over several tokens appears with its
    last token; bytes that never complete one are dropped.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        shown: Mapping[int, str] | None = None,
        after: Sequence[int] = (),
    ) -> None:
        """``tokenizer``: a transformers fast tokenizer, or mlx-lm's wrapper of one.

        ``shown``: special tokens that have a text here; others have none.
        ``after``: tokens that the text goes on from. Some tokenizers drop a leading space.
        """
        self._tokenizer = tokenizer.backend_tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)
        self._shown = shown or {}
        self._incomplete = False
        """Whether the stream holds bytes of a character that is not whole."""
        for token in after:
            self.feed(token)

    def feed(self, token: int) -> str:
        if token in self._shown:
            if self._incomplete:
                # They are of the text before the marker, and must not appear behind it.
                self._stream, self._incomplete = DecodeStream(skip_special_tokens=True), False
            return self._shown[token]
        text = self._stream.step(self._tokenizer, token)
        self._incomplete = text is None
        return text or ""
