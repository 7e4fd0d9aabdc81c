"""GGUF's token list and merges to the tokenizer.json they once came from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, processors

from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.gguf.config import ModelShape
from apps.models.runtime.gguf.metadata import Metadata
from apps.models.runtime.gguf.pretokenizers import PreTokenization, pre_tokenization
from apps.models.runtime.gguf.reader import GGUFFile

_CONTROL = 3
_USER_DEFINED = 4

# Control tokens that end an answer whatever eos_token_id says; llama.cpp knows them
# by their text too (``special_eog_ids`` in src/llama-vocab.cpp).
_END_TEXTS = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|endoftext|>", "<|eom_id|>", "<|end_of_text|>",
    "<|end_of_turn|>",
}  # fmt: skip


@dataclass(frozen=True)
class Vocabulary:
    """The parts of a byte-level BPE tokenizer, checked against each other."""

    tokens: list[str]
    merges: list[tuple[str, str]]
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
    words: PreTokenization
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
    kind = metadata.text("tokenizer.ggml.model")
    if kind != "gpt2":
        raise ModelFormatError(
            f"{file.path.name} uses a tokenizer of the kind {kind[:60]!r}, and GGUF import knows "
            "byte-level BPE ('gpt2'), not SentencePiece or others. Look for the model in MLX's "
            "own format instead."
        )
    tokens = metadata.strings("tokenizer.ggml.tokens")
    if len(tokens) != shape.vocabulary or len(set(tokens)) != len(tokens):
        raise ModelFormatError(
            f"{file.path.name} lists {len(tokens)} tokens, {len(set(tokens))} of them different, "
            f"for a vocabulary of {shape.vocabulary}. It is damaged; download it again."
        )
    types = _token_types(metadata, len(tokens))
    words = pre_tokenization(
        metadata.text("tokenizer.ggml.pre"), metadata.text("general.architecture")
    )
    control = [i for i, type_ in enumerate(types) if type_ == _CONTROL]
    special = {
        name: _token_id(metadata, name, len(tokens))
        for name in ("bos", "eos", "eot", "eom", "padding", "unknown")
    }
    listed = [special["eos"], special["eot"], special["eom"]]
    by_text = [i for i in control if tokens[i] in _END_TEXTS]
    return Vocabulary(
        tokens=tokens,
        merges=_merges(metadata, set(tokens)),
        control=control,
        user_defined=[i for i, type_ in enumerate(types) if type_ == _USER_DEFINED],
        bos=special["bos"],
        eos=special["eos"],
        pad=special["padding"],
        unknown=special["unknown"],
        ends=list(dict.fromkeys(i for i in [*listed, *by_text] if i is not None)),
        words=words,
        add_bos=metadata.flag("tokenizer.ggml.add_bos_token", words.adds_bos),
        add_eos=metadata.flag("tokenizer.ggml.add_eos_token", False),
        chat_template=metadata.text("tokenizer.chat_template"),
        context=shape.context,
    )


def write_tokenizer(vocabulary: Vocabulary, folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json."""
    build_tokenizer(vocabulary).save(str(folder / "tokenizer.json"))
    config = json.dumps(_tokenizer_config(vocabulary), indent=2, ensure_ascii=False)
    (folder / "tokenizer_config.json").write_text(config + "\n", encoding="utf-8")


def build_tokenizer(vocabulary: Vocabulary) -> Tokenizer:
    """The tokenizer that the vocabulary describes."""
    ids = {token: i for i, token in enumerate(vocabulary.tokens)}
    tokenizer = Tokenizer(
        models.BPE(ids, vocabulary.merges, ignore_merges=vocabulary.words.whole_words)
    )
    if normalizer := vocabulary.words.normalizer():
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = vocabulary.words.pre_tokenizer()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = _post_processor(vocabulary)
    # In one call each, in order of their ids: that is how ids stay what they are.
    tokenizer.add_special_tokens(
        [
            AddedToken(vocabulary.tokens[i], special=True, normalized=False)
            for i in vocabulary.control
        ]
    )
    tokenizer.add_tokens(
        [AddedToken(vocabulary.tokens[i], normalized=False) for i in vocabulary.user_defined]
    )
    return tokenizer


def _post_processor(vocabulary: Vocabulary) -> Any:
    """Puts the begin and end tokens round a text, where the model wants them."""
    tokens, first, last = vocabulary.tokens, "", ""
    special = []
    if vocabulary.add_bos and vocabulary.bos is not None:
        first = f"{tokens[vocabulary.bos]} "
        special.append((tokens[vocabulary.bos], vocabulary.bos))
    if vocabulary.add_eos and vocabulary.eos is not None:
        last = f" {tokens[vocabulary.eos]}"
        special.append((tokens[vocabulary.eos], vocabulary.eos))
    byte_level = processors.ByteLevel(trim_offsets=False)
    if not special:
        return byte_level
    template = processors.TemplateProcessing(
        single=f"{first}$A{last}", pair=f"{first}$A{last} {first}$B{last}", special_tokens=special
    )
    return processors.Sequence([byte_level, template])


def _tokenizer_config(vocabulary: Vocabulary) -> dict[str, Any]:
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": vocabulary.context,
    }
    named = {
        "bos_token": vocabulary.bos,
        "eos_token": vocabulary.eos,
        "pad_token": vocabulary.pad,
        "unk_token": vocabulary.unknown,
    }
    config |= {name: vocabulary.tokens[i] for name, i in named.items() if i is not None}
    if vocabulary.chat_template:
        config["chat_template"] = vocabulary.chat_template
    return config


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
