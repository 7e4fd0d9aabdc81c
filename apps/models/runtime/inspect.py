"""What a model folder holds, told from its headers in milliseconds."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from apps.models.runtime.card import read_card
from apps.models.runtime.containment import require_contained
from apps.models.runtime.context import context_length
from apps.models.runtime.embedding.description import describe_embedding
from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.generation_config import recommended_sampling
from apps.models.runtime.headers import (
    WeightGroup,
    read_config,
    read_json,
    read_tensors,
    read_text,
    weight_files,
    weight_groups,
)

Kind = Literal["chat", "completion", "embedding"]
"""What a model is for: conversations, going on with a text, or vectors."""

_DTYPE_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_TOOLS = re.compile(r"\btools\b")
_REASONING = re.compile(
    r"</?(?:\w+_)?think>|\benable_thinking\b|\breasoning_content\b|<\|channel\|?>"
)


@dataclass(frozen=True)
class ModelFacts:
    """What the registry records of a model."""

    architecture: str
    """config.json's model_type."""
    parameters: int
    quantization: str
    """Such as "4-bit", "mixed 4/8-bit" or "bfloat16"."""
    size_bytes: int
    """Bytes of the weight files."""
    context_length: int
    """Longest context in tokens."""
    kind: Kind
    knows_tools: bool
    """Whether its chat template has a place for tools."""
    reasons: bool
    """Whether its chat template knows a reasoning part before the answer."""
    license: str
    """The model card's licence id; empty where it names none."""
    base_repo_id: str
    """The repository that the model card names as its base; empty where it names none."""
    recommended: dict[str, float]
    """Sampling that generation_config.json recommends, under the API's names."""


def inspect_model(path: Path) -> ModelFacts:
    """Read the facts from the model folder ``path``; no weights are read.

    Raises ModelFormatError where config.json or a weight file is missing, damaged, or a
    link to a place outside the folder.
    """
    require_contained(path)
    config = read_config(path)
    architecture = config.get("model_type")
    if not isinstance(architecture, str) or not architecture:
        raise ModelFormatError(
            f"The config.json in {path.name} names no model_type, so it is not a language model "
            "that MLX can load. Choose another folder."
        )
    tokenizer = path / "tokenizer_config.json"
    tokenizer_config = read_json(tokenizer) if tokenizer.exists() else {}
    groups = list(weight_groups(read_tensors(path), config).values())
    embedding = describe_embedding(path, config)
    length_of = embedding.context_length if embedding else context_length
    template = _chat_template(path, tokenizer_config)
    card = read_card(path / "README.md")
    return ModelFacts(
        architecture=architecture,
        parameters=sum(group.parameters for group in groups),
        quantization=_quantization(groups),
        size_bytes=sum(file.stat().st_size for file in weight_files(path)),
        context_length=length_of(config, tokenizer_config.get("model_max_length")),
        kind="embedding" if embedding else "chat" if template else "completion",
        knows_tools=_TOOLS.search(template) is not None,
        reasons=_REASONING.search(template) is not None,
        license=card.license,
        base_repo_id=card.base_repo_id,
        recommended=recommended_sampling(path),
    )


def _quantization(groups: list[WeightGroup]) -> str:
    """The bits that matrices are packed in; without any, the type of most weights."""
    packed: Counter[int] = Counter()
    plain: Counter[str] = Counter()
    for group in groups:
        if group.quantized:
            packed[group.bits] += group.parameters
        else:
            plain[group.dtype] += group.parameters
    if packed:
        bits = "/".join(str(bits) for bits in sorted(packed))
        return f"{bits}-bit" if len(packed) == 1 else f"mixed {bits}-bit"
    commonest = plain.most_common(1)
    return _DTYPE_NAMES.get(commonest[0][0], commonest[0][0].lower()) if commonest else "empty"


def _chat_template(path: Path, tokenizer_config: dict[str, Any]) -> str:
    """The template's source, all of them where there are several; empty where there is none."""
    file = path / "chat_template.jinja"
    if file.exists():
        return read_text(file)
    other = path / "chat_template.json"
    found = tokenizer_config.get("chat_template") or (
        read_json(other).get("chat_template") if other.exists() else None
    )
    return found if isinstance(found, str) else json.dumps(found) if found else ""
