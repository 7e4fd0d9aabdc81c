"""What the engine's model pool reserves for a model folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from apps.models.runtime.accelerator import AcceleratorProfile
from apps.models.runtime.context import context_length
from apps.models.runtime.embedding.description import (
    ENCODERS,
    EmbeddingDescription,
    describe_embedding,
)
from apps.models.runtime.headers import read_json, read_tensors
from apps.models.runtime.memory.chat import (
    element_bytes,
    kv_elements,
    loading_bytes,
    prefill_chunk,
    working_bytes,
)
from apps.models.runtime.memory.layers import Shape
from apps.models.runtime.memory.weights import Weights

WORKING_CONTEXT = 4096
"""Tokens of context that working memory is reserved for: on a CPU attention's scores grow with
them. What one pass needs beyond that is small beside the KV cache of so many."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes a model needs: for its weights, per token of context, and to work at all."""

    weights_bytes: int
    kv_bytes_per_token: int
    """Keys and values of all layers for one token, without a window's saving."""
    overhead_bytes: int
    """One prefill pass behind WORKING_CONTEXT tokens, or the load, whichever takes more."""

    def total(self, tokens: int = 0) -> int:
        """Bytes with ``tokens`` of context held."""
        return self.weights_bytes + self.overhead_bytes + tokens * self.kv_bytes_per_token


def estimate(path: Path, profile: AcceleratorProfile) -> MemoryEstimate:
    """What the model in folder ``path`` would take on ``profile``'s device.

    Raises ModelFormatError where config.json or the weight files can't be read.
    """
    config = read_json(path / "config.json")
    weights = Weights.of_tensors(read_tensors(path), config)
    shape = Shape.of(config)
    embedding = describe_embedding(path, config)
    if embedding is not None:
        return _embedding_estimate(shape, weights, profile, embedding, config)
    width = element_bytes(shape, profile)
    context = min(context_length(config), WORKING_CONTEXT)
    states = width * sum(layer.state_elements for layer in shape.layers)
    working = working_bytes(shape, profile, context=context, chunk=prefill_chunk(profile))
    return MemoryEstimate(
        weights_bytes=weights.held_bytes(profile),
        kv_bytes_per_token=width * sum(layer.kv_elements for layer in shape.layers),
        overhead_bytes=max(states + working, loading_bytes(weights, profile)),
    )


def _embedding_estimate(
    shape: Shape,
    weights: Weights,
    profile: AcceleratorProfile,
    embedding: EmbeddingDescription,
    config: dict[str, Any],
) -> MemoryEstimate:
    """What an embedding model keeps for an input goes with it: it is working memory."""
    length = embedding.context_length(config)
    kv = element_bytes(shape, profile) * kv_elements(shape, length)
    # An encoder reads a text in one pass; neither kind computes logits.
    chunk = length if config.get("model_type") in ENCODERS else prefill_chunk(profile)
    states = replace(shape, vocabulary=0)
    working = working_bytes(states, profile, context=length, chunk=chunk)
    return MemoryEstimate(
        weights_bytes=weights.held_bytes(profile),
        kv_bytes_per_token=0,
        overhead_bytes=max(kv + working, loading_bytes(weights, profile)),
    )
