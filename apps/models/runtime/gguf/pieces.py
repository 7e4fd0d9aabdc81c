"""SentencePiece's BPE, as Llama 2, Mistral and Gemma have it: GGUF's tokenizer model "llama".

GGUF keeps each piece's score and no merge rules. A rule is every way to make a piece
out of two others, in the order of the made pieces' scores: how the tokenizer.json of
these models came about (``generate_merges`` and ``LlamaConverter`` in
transformers/convert_slow_tokenizer.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tokenizers import decoders, models, normalizers
from tokenizers.decoders import Decoder
from tokenizers.models import Model
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer
from tokenizers.processors import PostProcessor

from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.gguf.metadata import Metadata

SPACE = "\u2581"
"""What a space is in a piece."""

MAX_PIECE = 256
"""Characters of a piece that is made by merging; the longest in use has 93."""

_NORMAL = 1
_USER_DEFINED = 4
_BYTE = 6


@dataclass(frozen=True)
class Pieces:
    """The whole text merged by scores, what no piece is for in bytes."""

    merges: list[tuple[str, str]]
    has_bytes: bool
    space_prefix: bool
    """A space is put before the text, and taken away again after decoding."""

    adds_bos = True

    def model(self, ids: dict[str, int], unknown: str | None) -> Model:
        return models.BPE(
            ids, self.merges, unk_token=unknown, fuse_unk=True, byte_fallback=self.has_bytes
        )

    def normalizer(self) -> Normalizer | None:
        spaces = normalizers.Replace(" ", SPACE)
        if not self.space_prefix:
            return spaces
        return normalizers.Sequence([normalizers.Prepend(SPACE), spaces])

    def pre_tokenizer(self) -> PreTokenizer | None:
        return None

    def decoder(self) -> Decoder:
        steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
        return decoders.Sequence(
            [*steps, decoders.Strip(" ", 1, 0)] if self.space_prefix else steps
        )

    def post_processors(self) -> list[PostProcessor]:
        return []


def read_pieces(metadata: Metadata, tokens: list[str], types: list[int]) -> Pieces:
    """Read and check the pieces' scores. Raises ModelFormatError."""
    scores = metadata.numbers("tokenizer.ggml.scores")
    if len(scores) != len(tokens) or not all(map(math.isfinite, scores)):
        raise ModelFormatError(
            f"The GGUF file gives {len(scores)} scores for {len(tokens)} tokens, or some that are "
            "no numbers. It is damaged; download it again."
        )
    if metadata.flag("tokenizer.ggml.remove_extra_whitespaces", False):
        raise ModelFormatError(
            "The GGUF file's tokenizer takes spaces out of the text, which GGUF import does not "
            "support. Look for the model in MLX's own format instead."
        )
    made = {
        token: score
        for token, score, type_ in zip(tokens, scores, types, strict=True)
        if type_ in (_NORMAL, _USER_DEFINED)
    }
    return Pieces(
        merges=_merges(made, {token: i for i, token in enumerate(tokens)}),
        has_bytes=_has_bytes(tokens, types),
        space_prefix=metadata.flag("tokenizer.ggml.add_space_prefix", True),
    )


def _has_bytes(tokens: list[str], types: list[int]) -> bool:
    """Whether there is a token for each byte. Raises ModelFormatError where only some are there."""
    found = {token for token, type_ in zip(tokens, types, strict=True) if type_ == _BYTE}
    if found and found != {f"<0x{byte:02X}>" for byte in range(256)}:
        raise ModelFormatError(
            f"The GGUF file has {len(found)} byte tokens, and not one for each byte. It is "
            "damaged; download it again."
        )
    return bool(found)


def _merges(scores: dict[str, float], ids: dict[str, int]) -> list[tuple[str, str]]:
    """Every way to make a piece out of two, the best score first.

    Where two ways make one piece, SentencePiece takes the one farther left in the text,
    which an order of rules can't say: close, and not the same. Longer parts come first.
    """
    rules = []
    for piece, score in scores.items():
        ways = [
            (left, right)
            for cut in range(1, min(len(piece), MAX_PIECE))
            if (left := piece[:cut]) in scores and (right := piece[cut:]) in scores
        ]
        ways.sort(key=lambda way: (ids[way[0]], ids[way[1]]))
        rules += [(score, len(left), len(right), left, right) for left, right in ways]
    rules.sort(key=lambda rule: rule[:3], reverse=True)
    return [(left, right) for *_, left, right in rules]
