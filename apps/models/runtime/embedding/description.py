"""What a folder says of the vectors its model makes. Imports no MLX.

The files are those of sentence-transformers: ``modules.json`` lists what follows the
transformer, ``1_Pooling/config.json`` says how its states become one vector.
https://sbert.net/docs/sentence_transformer/usage/custom_models.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

from apps.models.runtime.context import context_length
from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.headers import read_json

LONGEST_INPUT = 8192
"""Tokens. Longer inputs would take gigabytes of states that no other work can give back."""

Pooling = Literal["mean", "cls", "max", "lasttoken"]

ENCODERS = ("bert", "roberta", "xlm-roberta")
"""model_types of bidirectional encoders that ``bert`` computes."""

_OFFSET_ENCODERS = ("roberta", "xlm-roberta")
"""Their positions begin behind the padding token's number."""

_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}


@dataclass(frozen=True)
class EmbeddingDescription:
    """How a model's last states become a vector."""

    pooling: Pooling = "mean"
    normalize: bool = True
    """Whether vectors have length 1."""
    max_tokens: int | None = None
    """Longest input as its makers say; None: what the transformer can take."""
    prompts: Mapping[str, str] = field(default_factory=dict)
    """What is put before an input, by what the input is ("query", "document", …)."""
    default_prompt: str = ""
    """What is put before an input of no particular kind."""

    def prompt(self, kind: str | None) -> str:
        """What to put before an input of this kind; nothing where the model knows no such kind."""
        return self.default_prompt if kind is None else self.prompts.get(kind, "")

    def context_length(self, config: dict[str, Any], tokenizer_limit: Any = None) -> int:
        """Longest input in tokens; the arguments are those of ``context.context_length``."""
        length = context_length(config, tokenizer_limit)
        if config.get("model_type") in _OFFSET_ENCODERS:
            positions = int(config.get("max_position_embeddings", 0))
            length = min(length, max(1, positions - position_offset(config)))
        return min(length, self.max_tokens or length, LONGEST_INPUT)


def position_offset(config: Mapping[str, Any]) -> int:
    """The number of the first token's position."""
    if config.get("model_type") not in _OFFSET_ENCODERS:
        return 0
    return int(config.get("pad_token_id") or 0) + 1


def describe_embedding(folder: Path, config: dict[str, Any]) -> EmbeddingDescription | None:
    """None where ``folder``, with this config.json, holds a model that generates text.

    Raises ModelFormatError where it holds one that makes vectors in a way that is not
    supported, or where its files are damaged.
    """
    kinds = _module_kinds(folder)
    if not kinds:
        if config.get("model_type") not in ENCODERS:
            return None
        _require_no_classifier(folder, config)
        # As sentence-transformers takes a bare encoder, but with vectors of length 1.
        return EmbeddingDescription(max_tokens=_max_tokens(folder))
    unknown = [kind for kind in kinds if kind not in ("Transformer", "Pooling", "Normalize")]
    if unknown or "Pooling" not in kinds:
        what = f"has a part of the kind {unknown[0]}" if unknown else "does not say how it pools"
        raise ModelFormatError(
            f"The embedding model in {folder.name} {what}, which the hub can't compute. "
            "Choose one that pools a transformer's states."
        )
    prompts, default = _prompts(folder)
    return EmbeddingDescription(
        pooling=_pooling(folder, kinds, has_prompts=any(prompts.values())),
        normalize="Normalize" in kinds,
        max_tokens=_max_tokens(folder),
        prompts=prompts,
        default_prompt=default,
    )


def _module_kinds(folder: Path) -> dict[str, str]:
    """The parts of a sentence-transformers model: kind to folder, empty where it is none."""
    file = folder / "modules.json"
    if not file.exists():
        return {}
    try:
        modules = json.loads(file.read_text(encoding="utf-8"))
        return {str(each["type"]).rpartition(".")[2]: str(each["path"]) for each in modules}
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelFormatError(
            f"modules.json in {folder.name} can't be read ({error}). Download the model again."
        ) from error


def _pooling(folder: Path, kinds: Mapping[str, str], *, has_prompts: bool) -> Pooling:
    place = kinds["Pooling"]
    if Path(place).name != place:
        raise ModelFormatError(f"modules.json in {folder.name} leads out of its folder.")
    config = read_json(folder / place / "config.json")
    modes = [mode for flag, mode in _FLAGS.items() if config.get(flag) is True]
    if isinstance(config.get("pooling_mode"), str):  # sentence-transformers 5.2 and later
        modes = [config["pooling_mode"]]
    if len(modes) != 1 or modes[0] not in get_args(Pooling):
        raise ModelFormatError(
            f"The embedding model in {folder.name} pools by {' and '.join(modes) or 'nothing'}. "
            f"The hub knows {', '.join(get_args(Pooling))}, one at a time."
        )
    if config.get("include_prompt") is False and has_prompts:
        raise ModelFormatError(
            f"The embedding model in {folder.name} leaves its prompts out of the vector, which "
            "the hub can't do. Choose another."
        )
    return cast("Pooling", modes[0])


def _max_tokens(folder: Path) -> int | None:
    for file in sorted(folder.glob("sentence_*_config.json")):
        limit = read_json(file).get("max_seq_length")
        if isinstance(limit, int) and limit > 0:
            return limit
    return None


def _prompts(folder: Path) -> tuple[dict[str, str], str]:
    file = folder / "config_sentence_transformers.json"
    config = read_json(file) if file.exists() else {}
    given = config.get("prompts")
    pairs = given.items() if isinstance(given, dict) else ()
    prompts = {str(kind): text for kind, text in pairs if isinstance(text, str)}
    return prompts, prompts.get(str(config.get("default_prompt_name")), "")


def _require_no_classifier(folder: Path, config: Mapping[str, Any]) -> None:
    named = config.get("architectures")
    for architecture in named if isinstance(named, list) else ():
        if "Classification" in str(architecture) or "QuestionAnswering" in str(architecture):
            raise ModelFormatError(
                f"The model in {folder.name} is a {architecture}: it neither generates text nor "
                "makes vectors. Choose an embedding model."
            )
