"""Byte-level BPE, as GPT-2 has it: GGUF's tokenizer model "gpt2"."""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import decoders, models, processors
from tokenizers.decoders import Decoder
from tokenizers.models import Model
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer
from tokenizers.processors import PostProcessor

from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.gguf.metadata import Metadata
from apps.models.runtime.gguf.pretokenizers import PreTokenization, pre_tokenization


@dataclass(frozen=True)
class ByteLevel:
    """Words cut by a pattern, their bytes merged by rules in their order."""

    merges: list[tuple[str, str]]
    words: PreTokenization

    @property
    def adds_bos(self) -> bool:
        """Whether a begin token is put first where the file does not say."""
        return self.words.adds_bos

    def model(self, ids: dict[str, int], unknown: str | None) -> Model:
        return models.BPE(ids, self.merges, ignore_merges=self.words.whole_words)

    def normalizer(self) -> Normalizer | None:
        return self.words.normalizer()

    def pre_tokenizer(self) -> PreTokenizer | None:
        return self.words.pre_tokenizer()

    def decoder(self) -> Decoder:
        return decoders.ByteLevel()

    def post_processors(self) -> list[PostProcessor]:
        return [processors.ByteLevel(trim_offsets=False)]


def read_byte_level(metadata: Metadata, tokens: list[str]) -> ByteLevel:
    """Read and check the merge rules. Raises ModelFormatError."""
    words = pre_tokenization(
        metadata.text("tokenizer.ggml.pre"), metadata.text("general.architecture")
    )
    return ByteLevel(_merges(metadata, set(tokens)), words)


def _merges(metadata: Metadata, tokens: set[str]) -> list[tuple[str, str]]:
    """Merge rules as pairs; each has to make a token out of two tokens."""
    merges = []
    for merge in metadata.strings("tokenizer.ggml.merges"):
        left, _, right = merge.partition(" ")
        if not {left, right, left + right} <= tokens:
            raise ModelFormatError(
                f"The GGUF file's merge rule {merge[:60]!r} does not fit its tokens. It is "
                "damaged; download it again."
            )
        merges.append((left, right))
    return merges
