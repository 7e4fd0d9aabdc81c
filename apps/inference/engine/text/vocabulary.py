"""Token ids to the bytes that they stand for."""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import Any

_BYTE_FALLBACK = re.compile(r"<0x([0-9A-F]{2})>")
_WORD_START = "\u2581"
"""What SentencePiece writes for a blank."""


class Vocabulary:
    """A tokenizer's tokens one by one.

    Decoding a single token gives a replacement character where it holds part of a
    character; its bytes are in the vocabulary itself. The two notations that language
    models use are known: byte-level BPE (Radford et al. 2019, GPT-2) and
    SentencePiece with byte fallback.
    """

    def __init__(self, tokenizer: Any) -> None:
        """``tokenizer``: a transformers fast tokenizer, or mlx-lm's wrapper of one."""
        self._tokenizer = tokenizer.backend_tokenizer
        self._added: dict[int, bytes] = {
            token: added.content.encode()
            for token, added in self._tokenizer.get_added_tokens_decoder().items()
        }
        decoder = self._tokenizer.decoder
        kinds = json.dumps(json.loads(decoder.__getstate__())) if decoder is not None else ""
        self._byte_of = _byte_level_alphabet() if '"ByteLevel"' in kinds else None

    @cached_property
    def _size(self) -> int:
        ids: dict[str, int] = self._tokenizer.get_vocab(with_added_tokens=True)
        return max(ids.values()) + 1

    def __len__(self) -> int:
        """One more than the highest token id."""
        return self._size

    def bytes_of(self, token: int) -> bytes:
        """Empty for an id that names no token."""
        if token in self._added:
            return self._added[token]
        piece = self._tokenizer.id_to_token(token)
        if piece is None:
            return b""
        if self._byte_of is not None:
            return bytes(self._byte_of[character] for character in piece)
        fallback = _BYTE_FALLBACK.fullmatch(piece)
        if fallback:
            return bytes([int(fallback[1], 16)])
        return str(piece).replace(_WORD_START, " ").encode()


def _byte_level_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-ins for the 256 bytes.

    Printable Latin-1 characters stand for themselves, the others for those from
    U+0100 on, in order.
    """
    themselves = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in themselves]
    return {chr(byte): byte for byte in themselves} | {
        chr(0x100 + place): byte for place, byte in enumerate(others)
    }
