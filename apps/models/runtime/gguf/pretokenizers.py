"""How each byte-level tokenizer cuts text into words before merging.

``tokenizer.ggml.pre`` names the cut. The patterns are those of the models' own
tokenizer.json files; llama.cpp lists the same ones in ``llm_tokenizer_bpe``
(src/llama-vocab.cpp).
"""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Regex, normalizers, pre_tokenizers
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer

from apps.models.runtime.errors import ModelFormatError

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_GPT4 = (
    _CONTRACTIONS + r"|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}"
    r"| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA_CPP_DEFAULT = (
    r"[\p{P}\$\+<=>\^~\|]+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
    r"\p{N}+",
    r"[0-9][0-9][0-9]",
)


@dataclass(frozen=True)
class PreTokenization:
    """A tokenizer's habits that GGUF names rather than spells out."""

    patterns: tuple[str, ...] = ()
    """Cuts applied one after another; none: GPT-2's own."""
    single_digits: bool = False
    """Digits are split one by one before anything else."""
    compose: bool = False
    """Text is brought into Unicode's composed form (NFC) first."""
    whole_words: bool = False
    """A word that is a token of its own is not built by merging."""
    adds_bos: bool = False
    """A begin-of-text token is put first where the file does not say."""

    def normalizer(self) -> Normalizer | None:
        return normalizers.NFC() if self.compose else None

    def pre_tokenizer(self) -> PreTokenizer:
        steps: list[PreTokenizer] = []
        if self.single_digits:
            steps.append(pre_tokenizers.Digits(individual_digits=True))
        steps += [pre_tokenizers.Split(Regex(p), "isolated") for p in self.patterns]
        gpt2 = not self.patterns
        steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=gpt2))
        return pre_tokenizers.Sequence(steps)


_GPT2 = PreTokenization()
_SMOLLM = PreTokenization(single_digits=True)
_GROUPED = PreTokenization(patterns=(_GPT4.format(digits="{1,3}"),))
_QWEN2 = PreTokenization(patterns=(_GPT4.format(digits=""),), compose=True)
_LLAMA3 = PreTokenization(patterns=_GROUPED.patterns, whole_words=True, adds_bos=True)

KNOWN = {
    "gpt-2": _GPT2,
    "phi-2": _GPT2,
    "olmo": _GPT2,
    "smollm": _SMOLLM,
    "starcoder": _SMOLLM,
    "refact": _SMOLLM,
    "command-r": _SMOLLM,
    "codeshell": _SMOLLM,
    "dbrx": _GROUPED,
    "smaug-bpe": _GROUPED,
    "llama-bpe": _LLAMA3,
    "llama3": _LLAMA3,
    "llama-v3": _LLAMA3,
    "falcon3": _LLAMA3,
    "qwen2": _QWEN2,
    # DeepSeek's distillations take Qwen's words and leave the text's form alone.
    "deepseek-r1-qwen": PreTokenization(patterns=_QWEN2.patterns),
    "tekken": PreTokenization(patterns=(_TEKKEN,), whole_words=True, adds_bos=True),
    "default": PreTokenization(patterns=_LLAMA_CPP_DEFAULT),
}


def pre_tokenization(name: str, architecture: str) -> PreTokenization:
    """The habits called ``name``. Raises ModelFormatError for a name that is not known.

    Files from before the key existed name none: of Qwen there is only one kind,
    for the rest llama.cpp's default is what they were used with.
    """
    if not name:
        name = "qwen2" if architecture.startswith("qwen") else "default"
    if name not in KNOWN:
        raise ModelFormatError(
            f"The GGUF file's tokenizer splits words in a way ({name[:60]!r}) that GGUF import "
            "does not know, and guessing would garble the text. Look for the model in MLX's own "
            "format instead."
        )
    return KNOWN[name]
