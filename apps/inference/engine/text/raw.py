"""Prompts without a chat template: a text, tokens, or a gap between two texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.inference.engine.errors import InvalidRequest
from apps.inference.engine.protocol import Generate
from apps.inference.engine.text.chat import PREVIEW_CHARACTERS, ChatPrompt
from apps.inference.engine.tokens import Tokens


@dataclass(frozen=True)
class _Infilling:
    """How a family of models is asked to fill in, by the names of its special tokens.

    Bavarian et al. 2022, "Efficient Training of Language Models to Fill in the Middle".
    """

    prefix: str
    suffix: str
    middle: str

    @property
    def markers(self) -> tuple[str, str, str]:
        return self.prefix, self.suffix, self.middle


_INFILLINGS = (
    # Qwen2.5-Coder, CodeGemma; Granite and StarCoder; SantaCoder
    _Infilling("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    _Infilling("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    _Infilling("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    # DeepSeek-Coder: the hole stands between the two
    _Infilling("<\uff5cfim\u2581begin\uff5c>", "<\uff5cfim\u2581hole\uff5c>", "<\uff5cfim\u2581end\uff5c>"),
    # GLM-4
    _Infilling("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),
    # Code Llama
    _Infilling("\u2581<PRE>", "\u2581<SUF>", "\u2581<MID>"),
)  # fmt: skip


def raw_prompt(request: Generate, tokenizer: Any) -> ChatPrompt:
    """The prompt of a request that has ``prompt`` instead of messages. Raises InvalidRequest.

    ``tokenizer``: a transformers fast tokenizer, or mlx-lm's wrapper of one.
    """
    prompt = request.prompt
    assert prompt is not None
    if not isinstance(prompt, str):
        tokens = _known(prompt, tokenizer)
        preview = tokenizer.decode(list(tokens[:PREVIEW_CHARACTERS]), skip_special_tokens=True)
    elif request.suffix is not None:
        tokens, preview = _gap(prompt, request.suffix, request.model.name, tokenizer), prompt
    else:
        tokens, preview = tuple(tokenizer.encode(prompt)), prompt
    return ChatPrompt(
        tokens=tokens or _beginning(tokenizer),
        system_tokens=0,
        system_preview="",
        preview=str(preview)[:PREVIEW_CHARACTERS],
    )


def _known(tokens: Tokens, tokenizer: Any) -> Tokens:
    size = tokenizer.backend_tokenizer.get_vocab_size(with_added_tokens=True)
    for token in tokens:
        if not 0 <= token < size:
            raise InvalidRequest(
                f"prompt: {token} is no token of this model; they are 0 to {size - 1}."
            )
    return tokens


def _beginning(tokenizer: Any) -> Tokens:
    """What stands for the beginning of a document: an empty prompt has no token of its own."""
    token = tokenizer.bos_token_id
    return (int(tokenizer.eos_token_id if token is None else token),)


def _gap(prefix: str, suffix: str, model: str, tokenizer: Any) -> Tokens:
    """The tokens that ask for what stands between two texts."""
    backend = tokenizer.backend_tokenizer
    for infilling in _INFILLINGS:
        markers = [backend.token_to_id(marker) for marker in infilling.markers]
        if None in markers:
            continue
        start, gap, middle = markers
        before, behind = (
            tokenizer.encode(text, add_special_tokens=False) for text in (prefix, suffix)
        )
        # What the tokenizer puts around any text, such as a bos token.
        return (*tokenizer.encode(""), start, *before, gap, *behind, middle)
    raise InvalidRequest(
        f"suffix: {model} has no tokens for filling in between two texts. Leave suffix out, or "
        "choose a model that was made for it, such as Qwen2.5-Coder."
    )
