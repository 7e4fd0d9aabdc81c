"""How much memory a model will take, before any of it is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.models.runtime.accelerator import AcceleratorProfile
from apps.models.runtime.embedding.description import describe_embedding
from apps.models.runtime.headers import read_json, read_tensors, weight_groups

PREFILL_CHUNK = 512
"""Prompt tokens computed in one forward pass, for the working-memory estimate."""

_ATTENTION_LAYERS = {"full_attention", "sliding_attention", "chunked_attention", "attention"}


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes a model needs: for its weights, per token of context, and to work at all."""

    weights_bytes: int
    kv_bytes_per_token: int
    """Keys and values of all layers for one token, without a window's saving."""
    overhead_bytes: int
    """Activations of one prefill chunk, its logits, and the largest matrix while it is read."""

    def total(self, tokens: int = 0) -> int:
        """Bytes with ``tokens`` of context held."""
        return self.weights_bytes + self.overhead_bytes + tokens * self.kv_bytes_per_token


def estimate(path: Path, profile: AcceleratorProfile) -> MemoryEstimate:
    """What the model in folder ``path`` would take on ``profile``'s device.

    Raises ModelFormatError where config.json or the weight files can't be read.
    """
    config = read_json(path / "config.json")
    groups = weight_groups(read_tensors(path), config).values()
    wide = profile.compute_float32 or "float32" in (config.get("dtype"), config.get("torch_dtype"))
    width = 4 if wide else 2
    if profile.compute_float32:
        weights = sum(4 * group.parameters for group in groups)
    else:
        weights = sum(group.nbytes for group in groups)
    largest = max((group.nbytes for group in groups), default=0)
    text = _text_config(config)
    embedding = describe_embedding(path, config)
    if embedding is not None:
        # What it keeps for an input goes with the input: it is working memory.
        length = embedding.context_length(config)
        return MemoryEstimate(
            weights_bytes=weights,
            kv_bytes_per_token=0,
            overhead_bytes=width * (length * _kv_elements(text) + _score_elements(text, length))
            + width * _activation_elements(text)
            + largest,
        )
    return MemoryEstimate(
        weights_bytes=weights,
        kv_bytes_per_token=width * _kv_elements(text),
        overhead_bytes=width * _activation_elements(text) + largest,
    )


def _text_config(config: dict[str, Any]) -> dict[str, Any]:
    """The language model's part of a multimodal model's configuration."""
    nested = config.get("text_config")
    return {**config, **nested} if isinstance(nested, dict) else config


def _integer(config: dict[str, Any], *names: str) -> int:
    """The first of ``names`` that holds a positive whole number, or 0."""
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and value > 0:
            return value
    return 0


def _kv_elements(config: dict[str, Any]) -> int:
    """Elements that the layers with attention keep for one token."""
    layers = _integer(config, "num_hidden_layers", "n_layers", "n_layer")
    types = config.get("layer_types")
    if isinstance(types, list):
        layers = sum(1 for kind in types if kind in _ATTENTION_LAYERS)
    if latent := _integer(config, "kv_lora_rank"):  # multi-head latent attention
        return layers * (latent + _integer(config, "qk_rope_head_dim"))
    heads = _integer(config, "num_attention_heads", "n_heads", "n_head")
    kv_heads = _integer(config, "num_key_value_heads") or heads
    head_dim = _integer(config, "head_dim") or _hidden(config) // max(heads, 1)
    return layers * 2 * kv_heads * head_dim


def _score_elements(config: dict[str, Any], length: int) -> int:
    """Attention scores of one layer for one chunk of an input of this length."""
    heads = _integer(config, "num_attention_heads", "n_heads", "n_head")
    return heads * min(length, PREFILL_CHUNK) * length


def _hidden(config: dict[str, Any]) -> int:
    return _integer(config, "hidden_size", "dim", "n_embd", "d_model")


def _activation_elements(config: dict[str, Any]) -> int:
    """Elements alive at the widest points of one prefill pass: the MLP, then the logits."""
    hidden = _hidden(config)
    mlp = 4 * hidden + 3 * _integer(config, "intermediate_size", "n_inner")
    logits = 2 * _integer(config, "vocab_size")
    return PREFILL_CHUNK * max(mlp, logits)
