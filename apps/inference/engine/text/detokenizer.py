"""Token ids to text, one at a time, in whole characters only."""

from __future__ import annotations

from typing import Any

from tokenizers.decoders import DecodeStream


class Detokenizer:
    """Incremental decoding over the tokenizers library's DecodeStream.

    A character whose bytes are spread over several tokens appears with its
    last token; bytes that never complete one are dropped.
    """

    def __init__(self, tokenizer: Any) -> None:
        """``tokenizer``: a transformers fast tokenizer, or mlx-lm's wrapper of one."""
        self._tokenizer = tokenizer.backend_tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)

    def feed(self, token: int) -> str:
        return self._stream.step(self._tokenizer, token) or ""
