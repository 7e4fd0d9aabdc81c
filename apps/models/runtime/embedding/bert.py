"""BERT and RoBERTa: bidirectional encoders (Devlin et al. 2018, Liu et al. 2019).

Modules are named as in Hugging Face's weights, so that these load as they are.
https://github.com/huggingface/transformers/blob/main/src/transformers/models/bert/modeling_bert.py
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from apps.models.runtime.embedding.description import position_offset

_ACTIVATIONS: dict[str, Callable[[mx.array], mx.array]] = {
    "gelu": nn.gelu,
    "gelu_new": nn.gelu_approx,
    "gelu_pytorch_tanh": nn.gelu_approx,
    "relu": nn.relu,
    "silu": nn.silu,
}

_PREFIXES = ("bert.", "roberta.")
_WITHOUT_USE = ("pooler.", "cls.", "lm_head.")
"""Heads that the vectors do not come from."""


@dataclass(frozen=True)
class EncoderConfig:
    """The sizes, as config.json names them."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    type_vocab_size: int
    layer_norm_eps: float
    hidden_act: str
    position_offset: int

    @classmethod
    def read(cls, config: dict[str, Any]) -> EncoderConfig:
        """Raises KeyError or ValueError where config.json describes another kind of encoder."""
        if config.get("position_embedding_type", "absolute") != "absolute":
            raise ValueError(f"positions of the kind {config['position_embedding_type']!r}")
        activation = config.get("hidden_act", "gelu")
        if activation not in _ACTIVATIONS:
            raise ValueError(f"activation {activation!r}")
        return cls(
            vocab_size=config["vocab_size"],
            hidden_size=config["hidden_size"],
            num_hidden_layers=config["num_hidden_layers"],
            num_attention_heads=config["num_attention_heads"],
            intermediate_size=config["intermediate_size"],
            max_position_embeddings=config["max_position_embeddings"],
            type_vocab_size=config.get("type_vocab_size", 2),
            layer_norm_eps=config.get("layer_norm_eps", 1e-12),
            hidden_act=activation,
            position_offset=position_offset(config),
        )


class Encoder(nn.Module):  # type: ignore[misc]
    """Token ids to states: ``encoder(tokens, mask)``."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.embeddings = _Embeddings(config)
        self.encoder = _Stack(config)

    def __call__(self, tokens: mx.array, mask: mx.array | None = None) -> mx.array:
        """The last layer's states.

        Args:
            tokens: shape (batch, length).
            mask: boolean, shape (batch, length), False for padding; None: there is none.

        Returns:
            Shape (batch, length, hidden size).
        """
        seen = None if mask is None else mask[:, None, None, :]
        states: mx.array = self.encoder(self.embeddings(tokens), seen)
        return states

    def sanitize(self, weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """The weights this module has, under its own names."""
        kept = {}
        for name, array in weights.items():
            for prefix in _PREFIXES:
                name = name.removeprefix(prefix)
            if not name.startswith(_WITHOUT_USE) and not name.endswith("position_ids"):
                # Of TensorFlow's making, in the oldest checkpoints.
                name = name.replace("LayerNorm.gamma", "LayerNorm.weight")
                kept[name.replace("LayerNorm.beta", "LayerNorm.bias")] = array
        return kept


class _Embeddings(nn.Module):  # type: ignore[misc]
    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self._offset = config.position_offset

    def __call__(self, tokens: mx.array) -> mx.array:
        # Padding is on the right, so that positions count from the first token.
        positions = mx.arange(tokens.shape[1]) + self._offset
        # All tokens are of the first type: an input is one text, not a pair.
        types = mx.zeros((1,), dtype=mx.int32)
        states: mx.array = self.LayerNorm(
            self.word_embeddings(tokens)
            + self.position_embeddings(positions)
            + self.token_type_embeddings(types)
        )
        return states


class _Stack(nn.Module):  # type: ignore[misc]
    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.layer = [_Layer(config) for _ in range(config.num_hidden_layers)]

    def __call__(self, states: mx.array, mask: mx.array | None) -> mx.array:
        for layer in self.layer:
            states = layer(states, mask)
        return states


class _Layer(nn.Module):  # type: ignore[misc]
    """Normalisation comes after each residual sum."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.attention = _Attention(config)
        self.intermediate = _Intermediate(config)
        self.output = _Output(config.intermediate_size, config)

    def __call__(self, states: mx.array, mask: mx.array | None) -> mx.array:
        states = self.attention(states, mask)
        inner: mx.array = self.output(self.intermediate(states), states)
        return inner


class _Attention(nn.Module):  # type: ignore[misc]
    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.self = _SelfAttention(config)
        self.output = _Output(config.hidden_size, config)

    def __call__(self, states: mx.array, mask: mx.array | None) -> mx.array:
        attended: mx.array = self.output(self.self(states, mask), states)
        return attended


class _SelfAttention(nn.Module):  # type: ignore[misc]
    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self._heads = config.num_attention_heads
        self._scale = (config.hidden_size // config.num_attention_heads) ** -0.5

    def __call__(self, states: mx.array, mask: mx.array | None) -> mx.array:
        query, key, value = (
            projection(states).reshape(*states.shape[:2], self._heads, -1).swapaxes(1, 2)
            for projection in (self.query, self.key, self.value)
        )
        attended = mx.fast.scaled_dot_product_attention(
            query, key, value, scale=self._scale, mask=mask
        )
        return attended.swapaxes(1, 2).reshape(states.shape)


class _Intermediate(nn.Module):  # type: ignore[misc]
    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self._activate = _ACTIVATIONS[config.hidden_act]

    def __call__(self, states: mx.array) -> mx.array:
        return self._activate(self.dense(states))


class _Output(nn.Module):  # type: ignore[misc]
    """A projection back to the residual stream, added and normalised."""

    def __init__(self, width: int, config: EncoderConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(width, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def __call__(self, states: mx.array, residual: mx.array) -> mx.array:
        summed: mx.array = self.LayerNorm(self.dense(states) + residual)
        return summed
