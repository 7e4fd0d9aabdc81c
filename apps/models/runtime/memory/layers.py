"""What each layer of a model keeps and computes, read from config.json.

Follows what mlx-lm's models do, which is not always what a configuration promises: a
sliding window saves memory only in the models that mlx-lm gives a rotating cache, and
DeepSeek-V2's latent attention is expanded to full keys and values before it is cached.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from apps.models.runtime.errors import ModelFormatError

Kind = Literal["full", "window", "recurrent", "both", "none"]
"""What a layer keeps: all tokens' KV, a window's, a state, KV and a state, or nothing."""

MOST_LAYERS = 1000
"""No language model has nearly as many; a configuration that says so is not one."""

_ROTATING = frozenset(
    [
        "afmoe",
        "baichuan_m1",
        "cohere2",
        "exaone4",
        "exaone_moe",
        "gemma3",
        "gemma3_text",
        "gemma3n",
        "gemma4",
        "gemma4_text",
        "gpt_oss",
        "laguna",
        "llama",
        "llama4",
        "mellum",
        "mimo_v2_flash",
        "ministral3",
        "mistral3",
        "olmo3",
        "plamo3",
        "recurrent_gemma",
        "step3p5",
    ]
)
"""model_types whose windows mlx-lm keeps in rotating or chunked caches; others keep everything."""

_EXPANDED = frozenset({"deepseek_v2", "minicpm3", "youtu_llm"})
"""model_types with latent attention whose caches hold the expanded keys and values."""

_KINDS: Mapping[str, Kind] = {
    "full_attention": "full", "attention": "full", "*": "full", "full": "full",
    "sliding_attention": "window", "chunked_attention": "window",
    "linear_attention": "recurrent", "conv": "recurrent", "mamba": "recurrent",
    "recurrent": "recurrent", "M": "recurrent",
    "mlp": "none", "moe": "none", "-": "none", "E": "none",
}  # fmt: skip

_PATTERNS = {
    "gemma3": 6,
    "gemma3_text": 6,
    "cohere2": 4,
    "plamo3": 8,
    "gemma4_text": 5,
    "llama4": 4,
}
"""Every so many layers one sees everything, where config.json does not say."""

_LINEAR_INTERVAL = frozenset({"qwen3_next", "qwen3_5", "qwen3_5_moe", "qwen3_5_text"})


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
        kinds = _kinds(text, count)
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


def text_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The language model's part of a multimodal model's configuration."""
    nested = config.get("text_config")
    return {**config, **nested} if isinstance(nested, dict) else dict(config)


def integer(config: Mapping[str, Any], *names: str) -> int:
    """The first of ``names`` that holds a positive whole number, or 0."""
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return 0


def _kinds(config: Mapping[str, Any], count: int) -> list[Kind]:
    """What each layer keeps."""
    found = _named_kinds(config, min(count, MOST_LAYERS + 1))
    rotating = str(config.get("model_type")) in _ROTATING and _window(config)
    kinds: list[Kind] = [("full" if kind == "window" and not rotating else kind) for kind in found]
    # Later layers that reuse the keys and values of earlier ones keep none of their own.
    shared = integer(config, "num_kv_shared_layers")
    if 0 < shared < len(kinds):
        kinds[-shared:] = ["none"] * shared
    return kinds


def _named_kinds(config: Mapping[str, Any], count: int) -> list[Kind]:
    architecture = config.get("model_type")
    if architecture in ("mamba", "mamba2", "rwkv7"):
        return ["recurrent"] * count
    if architecture == "falcon_h1":
        return ["both"] * count
    for key in ("layer_types", "layers_block_type", "hybrid_override_pattern"):
        named = config.get(key)
        if isinstance(named, list | str) and named:
            return [_KINDS.get(str(each), "full") for each in named[: MOST_LAYERS + 1]]
    return [_kind_at(config, i) for i in range(count)]


def _kind_at(config: Mapping[str, Any], i: int) -> Kind:
    """Of layer ``i``, where the configuration gives a rule and no list."""
    architecture = str(config.get("model_type"))
    attending = config.get("full_attn_idxs")
    if isinstance(attending, list):
        return "full" if i in attending else "recurrent"
    blocks = config.get("block_types") or config.get("_block_types")
    if isinstance(blocks, list) and blocks:  # recurrent_gemma: attention has a window there
        return "window" if blocks[i % len(blocks)] == "attention" else "recurrent"
    if period := integer(config, "attn_layer_period"):
        offset = integer(config, "attn_layer_offset")
        return "full" if i % period == offset else "recurrent"
    linear = config.get("linear_attn_config")
    if isinstance(linear, dict) and isinstance(linear.get("kda_layers"), list):
        return "recurrent" if i + 1 in linear["kda_layers"] else "full"
    if architecture in _LINEAR_INTERVAL:
        interval = integer(config, "full_attention_interval") or 4
        return "full" if (i + 1) % interval == 0 else "recurrent"
    return _windowed_kind_at(config, architecture, i)


def _windowed_kind_at(config: Mapping[str, Any], architecture: str, i: int) -> Kind:
    pattern = config.get("sliding_window_pattern")
    if isinstance(pattern, str) and pattern:  # exaone4: "LLLG"
        return "window" if pattern[i % len(pattern)] == "L" else "full"
    flags = config.get("hybrid_layer_pattern")
    if isinstance(flags, list) and i < len(flags):
        return "window" if flags[i] == 1 else "full"
    if architecture == "gpt_oss":
        return "window" if i % 2 == 0 else "full"
    every = integer(config, "sliding_window_pattern") or _PATTERNS.get(architecture, 0)
    if every:
        return "full" if (i + 1) % every == 0 else "window"
    return "full"


def _window(config: Mapping[str, Any]) -> int:
    return integer(
        config, "sliding_window", "sliding_window_size", "attention_window_size",
        "attention_chunk_size",
    )  # fmt: skip


def _layer(config: Mapping[str, Any], hidden: int, kind: Kind, i: int) -> Layer:
    feed_forward, experts = _feed_forward(config, i)
    attends = kind in ("full", "window", "both")
    recurs = kind in ("recurrent", "both")
    attention: dict[str, Any] = _attention(config, hidden) if attends else {}
    recurrence: dict[str, Any] = _recurrence(config, hidden) if recurs else {}
    return Layer(
        kind=kind,
        window=_window(config) if kind == "window" else 0,
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
