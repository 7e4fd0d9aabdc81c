"""A checked vocabulary to the tokenizer.json it once came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, processors
from tokenizers.processors import PostProcessor

from apps.models.runtime.gguf.vocabulary import Vocabulary


def write_tokenizer(vocabulary: Vocabulary, folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json."""
    build_tokenizer(vocabulary).save(str(folder / "tokenizer.json"))
    config = json.dumps(_tokenizer_config(vocabulary), indent=2, ensure_ascii=False)
    (folder / "tokenizer_config.json").write_text(config + "\n", encoding="utf-8")


def build_tokenizer(vocabulary: Vocabulary) -> Tokenizer:
    """The tokenizer that the vocabulary describes."""
    ids = {token: i for i, token in enumerate(vocabulary.tokens)}
    scheme = vocabulary.scheme
    unknown = None if vocabulary.unknown is None else vocabulary.tokens[vocabulary.unknown]
    tokenizer = Tokenizer(scheme.model(ids, unknown))
    if normalizer := scheme.normalizer():
        tokenizer.normalizer = normalizer
    if pre_tokenizer := scheme.pre_tokenizer():
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = scheme.decoder()
    steps = [*scheme.post_processors(), *_added_ends(vocabulary)]
    if steps:
        tokenizer.post_processor = steps[0] if len(steps) == 1 else processors.Sequence(steps)
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


def _added_ends(vocabulary: Vocabulary) -> list[PostProcessor]:
    """Puts the begin and end tokens round a text, where the model wants them."""
    tokens, first, last = vocabulary.tokens, "", ""
    special = []
    if vocabulary.add_bos and vocabulary.bos is not None:
        first = f"{tokens[vocabulary.bos]} "
        special.append((tokens[vocabulary.bos], vocabulary.bos))
    if vocabulary.add_eos and vocabulary.eos is not None:
        last = f" {tokens[vocabulary.eos]}"
        special.append((tokens[vocabulary.eos], vocabulary.eos))
    if not special:
        return []
    single = f"{first}$A{last}"
    return [
        processors.TemplateProcessing(
            single=single, pair=f"{single} {first}$B{last}", special_tokens=special
        )
    ]


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
