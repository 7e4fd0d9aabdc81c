"""GGUF metadata to the config.json that mlx-lm reads.

Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and
``mlx_lm/models/{llama,qwen2,qwen3}.py``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.gguf.metadata import Metadata
from apps.models.runtime.gguf.reader import GGUFFile
from apps.models.runtime.gguf.rope import rope_scaling
from apps.models.runtime.gguf.tensors import GROUP_SIZE


@dataclass(frozen=True)
class Architecture:
    """A family under its names in config.json."""

    model_type: str
    class_name: str


ARCHITECTURES = {
    "llama": Architecture("llama", "LlamaForCausalLM"),
    "qwen2": Architecture("qwen2", "Qwen2ForCausalLM"),
    "qwen3": Architecture("qwen3", "Qwen3ForCausalLM"),
    "qwen3moe": Architecture("qwen3_moe", "Qwen3MoeForCausalLM"),
}
"""By GGUF's name."""

_MIXTURES = {"qwen3moe"}

_MANY = 1 << 24


@dataclass(frozen=True)
class ModelShape:
    """The sizes that determine every tensor of a model."""

    architecture: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context: int
    """Longest context in tokens."""
    tied_embeddings: bool
    """The output projection is the embedding matrix."""
    attention_bias: bool
    experts: int
    """Of each layer's mixture; 0 where a layer has one feed-forward network."""

    @property
    def model_type(self) -> str:
        """config.json's name of the family."""
        return ARCHITECTURES[self.architecture].model_type


def read_shape(file: GGUFFile) -> ModelShape:
    """The model's sizes. Raises ModelFormatError for a family that can't be imported."""
    metadata = Metadata(file.metadata)
    arch = metadata.text("general.architecture")
    if arch not in ARCHITECTURES:
        raise ModelFormatError(
            f"{file.path.name} holds a model of the family {arch!r}, and GGUF import knows "
            f"{', '.join(ARCHITECTURES)}. Look for the model in MLX's own format instead."
        )
    _refuse_variants(file, metadata, arch)
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None or len(embedding.shape) != 2:
        raise ModelFormatError(f"{file.path.name} holds no token embedding; download it again.")
    heads = metadata.integer(f"{arch}.attention.head_count", low=1, high=_MANY)
    hidden = metadata.integer(f"{arch}.embedding_length", low=1, high=_MANY)
    return ModelShape(
        architecture=arch,
        layers=metadata.integer(f"{arch}.block_count", low=1, high=10_000),
        hidden=hidden,
        intermediate=metadata.integer(_inner_key(arch), low=1, high=_MANY),
        heads=heads,
        kv_heads=_kv_heads(metadata, arch, heads),
        head_dim=_head_dim(metadata, arch, hidden, heads),
        vocabulary=embedding.shape[0],
        context=metadata.integer(f"{arch}.context_length", low=1, high=1 << 30),
        tied_embeddings="output.weight" not in file.tensors,
        attention_bias=arch == "qwen2" or (arch == "llama" and "blk.0.attn_q.bias" in file.tensors),
        experts=metadata.integer(f"{arch}.expert_count", low=2, high=4096)
        if arch in _MIXTURES
        else 0,
    )


def build_config(
    file: GGUFFile, shape: ModelShape, special: dict[str, Any], layer_bits: dict[str, int]
) -> dict[str, Any]:
    """config.json. ``layer_bits`` names the quantised layers with their bits per weight.

    ``special`` holds the token ids that config.json repeats.
    """
    metadata, arch = Metadata(file.metadata), shape.architecture
    config: dict[str, Any] = {
        "architectures": [ARCHITECTURES[arch].class_name],
        "model_type": shape.model_type,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "intermediate_size": shape.intermediate,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "rms_norm_eps": metadata.number(
            f"{arch}.attention.layer_norm_rms_epsilon", 1e-5, low=0, high=1
        ),
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.context,
        "rope_theta": metadata.number(f"{arch}.rope.freq_base", 10_000.0, low=1, high=1e15),
        "tie_word_embeddings": shape.tied_embeddings,
        "hidden_act": "silu",
        "dtype": _dtype(file),
        "source_format": "gguf",
        **special,
    }
    if shape.experts:
        config |= _mixture(metadata, shape)
    if arch == "llama":
        config |= {"attention_bias": shape.attention_bias, "mlp_bias": False}
    if scaling := rope_scaling(file, shape.head_dim, config["rope_theta"]):
        config["rope_scaling"] = scaling
    if layer_bits:
        config["quantization"] = _quantization(layer_bits)
    return config


def _inner_key(arch: str) -> str:
    """Where the width of the feed-forward network stands, or of one expert."""
    return f"{arch}.{'expert_' if arch in _MIXTURES else ''}feed_forward_length"


def _mixture(metadata: Metadata, shape: ModelShape) -> dict[str, Any]:
    """What config.json says of a mixture of experts, every layer of which is one."""
    used = metadata.integer(f"{shape.architecture}.expert_used_count", low=1, high=shape.experts)
    return {
        "num_experts": shape.experts,
        "num_experts_per_tok": used,
        "moe_intermediate_size": shape.intermediate,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        # llama.cpp's graph for the family always does it, and every release of it.
        "norm_topk_prob": True,
    }


def _dtype(file: GGUFFile) -> str:
    """The type to compute in: that of the matrices, whatever the norms and biases have."""
    types = {tensor.type.name for tensor in file.tensors.values() if len(tensor.shape) > 1}
    if types == {"F32"}:
        return "float32"
    return "bfloat16" if types <= {"F32", "BF16"} else "float16"


def _quantization(layer_bits: dict[str, int]) -> dict[str, Any]:
    """The commonest number of bits for the model, and each layer that differs from it."""
    common = Counter(layer_bits.values()).most_common(1)[0][0]
    quantization: dict[str, Any] = {"group_size": GROUP_SIZE, "bits": common}
    for layer, bits in layer_bits.items():
        if bits != common:
            quantization[layer] = {"group_size": GROUP_SIZE, "bits": bits}
    return quantization


def _refuse_variants(file: GGUFFile, metadata: Metadata, arch: str) -> None:
    """Variants of a family that compute differently must not pass for the plain one."""
    variants = {
        "split.count": ("is one part of several", 1),
        f"{arch}.expert_count": ("is a mixture of experts", _MANY if arch in _MIXTURES else 0),
        f"{arch}.expert_shared_count": ("has experts that all tokens share", 0),
        f"{arch}.attention.sliding_window": ("attends through a sliding window", 0),
    }
    for key, (what, plain) in variants.items():
        if metadata.integer(key, plain, high=1 << 40) > plain:
            raise ModelFormatError(
                f"{file.path.name} {what}, which GGUF import does not support. Merge the parts "
                "of a split file first; for other models, look for one in MLX's own format."
            )


def _kv_heads(metadata: Metadata, arch: str, heads: int) -> int:
    kv_heads = metadata.integer(f"{arch}.attention.head_count_kv", heads, low=1, high=heads)
    if heads % kv_heads:
        raise ModelFormatError(
            f"The GGUF file claims {heads} heads over {kv_heads} key-value heads, which do not "
            "divide. Download it again."
        )
    return kv_heads


def _head_dim(metadata: Metadata, arch: str, hidden: int, heads: int) -> int:
    head_dim = metadata.integer(f"{arch}.attention.key_length", hidden // heads, low=2, high=_MANY)
    rotated = metadata.integer(f"{arch}.rope.dimension_count", head_dim, high=_MANY)
    value = metadata.integer(f"{arch}.attention.value_length", head_dim, high=_MANY)
    fixed = arch == "qwen2" and head_dim * heads != hidden  # mlx-lm derives it there
    if head_dim % 2 or rotated != head_dim or value != head_dim or fixed:
        raise ModelFormatError(
            f"The GGUF file's attention heads (key {head_dim}, value {value}, rotated {rotated}) "
            "are of a kind that GGUF import does not support. Look for the model in MLX's own "
            "format instead."
        )
    return head_dim
