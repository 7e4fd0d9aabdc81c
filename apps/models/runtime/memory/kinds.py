"""What each layer keeps of the tokens before it, read from config.json.

Follows what mlx-lm's models do, which is not always what a configuration promises: a
sliding window saves memory only in the models that mlx-lm gives a rotating cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from apps.models.runtime.memory.configuration import integer

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


def kinds_of(config: Mapping[str, Any], count: int) -> list[Kind]:
    """What each layer keeps. Of more than MOST_LAYERS, one more than that is told."""
    found = _named_kinds(config, min(count, MOST_LAYERS + 1))
    rotating = str(config.get("model_type")) in _ROTATING and window_of(config)
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


def window_of(config: Mapping[str, Any]) -> int:
    """Tokens that a layer with a window sees; 0 where the configuration names none."""
    return integer(
        config, "sliding_window", "sliding_window_size", "attention_window_size",
        "attention_chunk_size",
    )  # fmt: skip
