"""What each layer of a model keeps and computes, read from config.json.

Follows what mlx-lm's models do, which is not always what a configuration promises:
DeepSeek-V2's latent attention is expanded to full keys and values before it is cached.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.memory.configuration import integer, text_config
from apps.models.runtime.memory.kinds import MOST_LAYERS, Kind, kinds_of, window_of

_EXPANDED = frozenset({"deepseek_v2", "minicpm3", "youtu_llm"})
"""model_types with latent attention whose caches hold the expanded keys and values."""


@dataclass(frozen=True)
class Layer:
    """One block. Elements are counted, so that bytes follow from the width of each."""

    kind: Kind
    kv_elements: int = 0
    """Kept for each token."""
    window: int = 0
    """Tokens that are kept at most; 0: all."""
    state_elements: int = 0
    """Kept for a whole sequence."""
    latent: bool = False
    """Whether keys and values are kept compressed and expanded for each pass."""
    heads: int = 0
    query_elements: int = 0
    """Of all heads' queries, for one token."""
    key_elements: int = 0
    """Of keys and values together as attention reads them, for one token."""
    value_elements: int = 0
    """Of all heads' outputs, for one token."""
    inner: int = 0
    """Width of a recurrent layer's own stream."""
    convolved: int = 0
    """Width of what its short convolution reads."""
    scan_heads: int = 0
    """Heads of a Mamba-2 scan, each with a matrix of a chunk by a chunk; 0: it has none."""
    feed_forward: int = 0
    """Width of the MLP that one token passes: of all its experts together in a mixture."""
    experts: int = 0
    """Experts that one token passes; 0 in a dense layer."""


@dataclass(frozen=True)
class Shape:
    """A model's sizes as its config.json has them."""

    hidden: int
    vocabulary: int
    layers: tuple[Layer, ...]
    wide: bool = False
    """Whether its own type is float32."""
    config: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The language model's part of config.json."""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Shape:
        """The shape that a config.json describes.

        Raises ModelFormatError where it names no layers or no width.
        """
        text = text_config(config)
        hidden = integer(text, "hidden_size", "dim", "n_embd", "d_model")
        count = integer(text, "num_hidden_layers", "n_layers", "n_layer", "num_layers")
        kinds = kinds_of(text, count)
        if not hidden or not kinds or len(kinds) > MOST_LAYERS:
            raise ModelFormatError(
                "config.json does not say how wide the model is and how many layers it has, so "
                "its memory can't be estimated."
            )
        return cls(
            hidden=hidden,
            vocabulary=integer(text, "vocab_size"),
            layers=tuple(_layer(text, hidden, kind, i) for i, kind in enumerate(kinds)),
            wide="float32" in (text.get("dtype"), text.get("torch_dtype")),
            config=text,
        )


def _layer(config: Mapping[str, Any], hidden: int, kind: Kind, i: int) -> Layer:
    feed_forward, experts = _feed_forward(config, i)
    attends = kind in ("full", "window", "both")
    recurs = kind in ("recurrent", "both")
    attention: dict[str, Any] = _attention(config, hidden) if attends else {}
    recurrence: dict[str, Any] = _recurrence(config, hidden) if recurs else {}
    return Layer(
        kind=kind,
        window=window_of(config) if kind == "window" else 0,
        feed_forward=feed_forward,
        experts=experts,
        **attention,
        **recurrence,
    )


def _attention(config: Mapping[str, Any], hidden: int) -> dict[str, Any]:
    heads = integer(config, "num_attention_heads", "n_heads", "n_head")
    if latent := integer(config, "kv_lora_rank"):
        return _latent_attention(config, heads, latent)
    kv_heads = integer(config, "num_key_value_heads", "num_kv_heads") or heads
    head_dim = integer(config, "head_dim") or hidden // max(heads, 1)
    return {
        "heads": heads,
        "kv_elements": 2 * kv_heads * head_dim,
        "query_elements": heads * head_dim,
        "key_elements": 2 * kv_heads * head_dim,
        "value_elements": heads * head_dim,
    }


def _latent_attention(config: Mapping[str, Any], heads: int, latent: int) -> dict[str, Any]:
    """Multi-head latent attention (DeepSeek-V2, https://arxiv.org/abs/2405.04434)."""
    rope = integer(config, "qk_rope_head_dim")
    query = integer(config, "qk_nope_head_dim") + rope
    value = integer(config, "v_head_dim")
    expanded = heads * (query + value)
    compressed = str(config.get("model_type")) not in _EXPANDED
    kept = latent + rope if compressed else expanded
    # The indexer of sparse attention caches its keys, and a second time as values.
    kept += 2 * integer(config, "index_head_dim")
    return {
        "latent": compressed,
        "heads": heads,
        "kv_elements": kept,
        "query_elements": heads * query,
        "key_elements": expanded,
        "value_elements": heads * value,
    }


def _recurrence(config: Mapping[str, Any], hidden: int) -> dict[str, Any]:
    if taps := integer(config, "conv_L_cache"):  # lfm2: a short convolution, no other state
        return {"convolved": hidden, "state_elements": (taps - 1) * hidden}
    if integer(config, "linear_num_value_heads"):
        return _delta_net(config)
    if size := integer(config, "mamba_d_state", "ssm_state_size", "state_size"):
        return _mamba(config, hidden, size)
    heads = integer(config, "num_attention_heads", "n_heads", "n_head")
    head_dim = integer(config, "head_dim") or hidden // max(heads, 1)
    return {"inner": heads * head_dim, "state_elements": heads * head_dim * head_dim}


def _delta_net(config: Mapping[str, Any]) -> dict[str, int]:
    """Gated delta networks (https://arxiv.org/abs/2412.06464)."""
    key_dim = integer(config, "linear_key_head_dim")
    keys = integer(config, "linear_num_key_heads") * key_dim
    values = integer(config, "linear_num_value_heads") * integer(config, "linear_value_head_dim")
    convolved = 2 * keys + values
    kept = (integer(config, "linear_conv_kernel_dim") - 1) * convolved
    return {
        "inner": values,
        "convolved": convolved,
        "state_elements": max(0, kept) + values * key_dim,
    }


def _mamba(config: Mapping[str, Any], hidden: int, size: int) -> dict[str, int]:
    """Mamba (https://arxiv.org/abs/2312.00752) and Mamba-2 (https://arxiv.org/abs/2405.21060)."""
    heads = integer(config, "mamba_n_heads", "mamba_num_heads", "num_heads")
    head_dim = integer(config, "mamba_d_head", "mamba_head_dim", "head_dim")
    expanded = hidden * (integer(config, "mamba_expand", "expand") or 2)
    inner = integer(config, "mamba_d_ssm") or heads * head_dim or expanded
    groups = integer(config, "mamba_n_groups", "n_groups") if heads else 0
    convolved = inner + 2 * groups * size
    taps = integer(config, "mamba_d_conv", "conv_kernel") or 4
    return {
        "inner": inner,
        "convolved": convolved,
        "scan_heads": heads,
        "state_elements": (taps - 1) * convolved + inner * size,
    }


def _feed_forward(config: Mapping[str, Any], i: int) -> tuple[int, int]:
    """Width of layer ``i``'s MLP for one token, and how many experts that is."""
    dense = integer(config, "intermediate_size", "block_ff_dim", "n_inner", "ffn_hidden_size")
    active = integer(config, "num_experts_per_tok", "num_experts_per_token", "moe_topk")
    held = integer(config, "num_experts", "n_routed_experts", "num_local_experts")
    if config.get("model_type") in ("mamba", "mamba2"):  # there it is the inner stream's width
        return 0, 0
    if not active or not held or i < integer(config, "first_k_dense_replace", "num_dense_layers"):
        return dense, 0
    width = integer(config, "moe_intermediate_size", "expert_ffn_hidden_size") or dense
    shared = integer(config, "n_shared_experts", "num_shared_experts") * width
    shared = (
        integer(config, "shared_expert_intermediate_size", "shared_intermediate_size") or shared
    )
    return active * width + shared, active
