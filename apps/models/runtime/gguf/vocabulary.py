"""What a GGUF file says of its tokenizer, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.gguf.byte_level import ByteLevel, read_byte_level
from apps.models.runtime.gguf.config import ModelShape
from apps.models.runtime.gguf.metadata import Metadata
from apps.models.runtime.gguf.pieces import Pieces, read_pieces
from apps.models.runtime.gguf.reader import GGUFFile

_UNKNOWN = 2
_CONTROL = 3
_USER_DEFINED = 4

# Control tokens that end an answer whatever eos_token_id says; llama.cpp knows them
# by their text too (``special_eog_ids`` in src/llama-vocab.cpp).
_END_TEXTS = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|endoftext|>", "<|eom_id|>", "<|end_of_text|>",
    "<|end_of_turn|>", "<end_of_turn>",
}  # fmt: skip


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a model and how text becomes them, checked against each other."""

    tokens: list[str]
    scheme: ByteLevel | Pieces
    control: list[int]
    """Ids of tokens that steer the model and are no text."""
    user_defined: list[int]
    """Ids of whole tokens that are text."""
    bos: int | None
    eos: int | None
    pad: int | None
    unknown: int | None
    ends: list[int]
    """Ids that end an answer, the end-of-text token first."""
    add_bos: bool
    add_eos: bool
    chat_template: str
    context: int

    def special_ids(self) -> dict[str, Any]:
        """What config.json and generation_config.json say of the vocabulary."""
        ids = {"bos_token_id": self.bos, "eos_token_id": self.ends, "pad_token_id": self.pad}
        return {key: value for key, value in ids.items() if value not in (None, [])}


def read_vocabulary(file: GGUFFile, shape: ModelShape) -> Vocabulary:
    """Read and check the vocabulary. Raises ModelFormatError."""
    metadata = Metadata(file.metadata)
    tokens = metadata.strings("tokenizer.ggml.tokens")
    if len(tokens) != shape.vocabulary or len(set(tokens)) != len(tokens):
        raise ModelFormatError(
            f"{file.path.name} lists {len(tokens)} tokens, {len(set(tokens))} of them different, "
            f"for a vocabulary of {shape.vocabulary}. It is damaged; download it again."
        )
    types = _token_types(metadata, len(tokens))
    scheme = _scheme(file, metadata, tokens, types)
    # SentencePiece knows the unknown token by its type.
    unknown = types.index(_UNKNOWN) if _UNKNOWN in types else None
    ids = {
        name: _token_id(metadata, name, len(tokens))
        for name in ("bos", "eos", "eot", "eom", "padding", "unknown")
    }
    control = [i for i, type_ in enumerate(types) if type_ == _CONTROL]
    by_text = [i for i in control if tokens[i] in _END_TEXTS]
    ends = [ids["eos"], ids["eot"], ids["eom"], *by_text]
    return Vocabulary(
        tokens=tokens,
        scheme=scheme,
        control=control,
        user_defined=[i for i, type_ in enumerate(types) if type_ == _USER_DEFINED],
        bos=ids["bos"],
        eos=ids["eos"],
        pad=ids["padding"],
        unknown=unknown if ids["unknown"] is None else ids["unknown"],
        ends=list(dict.fromkeys(i for i in ends if i is not None)),
        add_bos=metadata.flag("tokenizer.ggml.add_bos_token", scheme.adds_bos),
        add_eos=metadata.flag("tokenizer.ggml.add_eos_token", False),
        chat_template=metadata.text("tokenizer.chat_template"),
        context=shape.context,
    )


def _scheme(
    file: GGUFFile, metadata: Metadata, tokens: list[str], types: list[int]
) -> ByteLevel | Pieces:
    kind = metadata.text("tokenizer.ggml.model")
    if kind == "gpt2":
        return read_byte_level(metadata, tokens)
    if kind == "llama":
        return read_pieces(metadata, tokens, types)
    raise ModelFormatError(
        f"{file.path.name} uses a tokenizer of the kind {kind[:60]!r}, and GGUF import knows "
        "byte-level BPE ('gpt2') and SentencePiece's BPE ('llama'). Look for the model in MLX's "
        "own format instead."
    )


def _token_types(metadata: Metadata, count: int) -> list[int]:
    types = metadata.integers("tokenizer.ggml.token_type")
    if len(types) != count:
        raise ModelFormatError(
            f"The GGUF file gives {len(types)} token types for {count} tokens. It is damaged; "
            "download it again."
        )
    return types


def _token_id(metadata: Metadata, name: str, count: int) -> int | None:
    key = f"tokenizer.ggml.{name}_token_id"
    if key not in metadata.values:
        return None
    return metadata.integer(key, high=count - 1)
