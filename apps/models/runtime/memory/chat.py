"""The memory of a chat: weights, the KV cache of its tokens, and room to work in."""

from __future__ import annotations

from apps.models.runtime.memory.layers import Layer, Shape
from apps.models.runtime.memory.terms import Device, Estimate, Term
from apps.models.runtime.memory.weights import Weights

CACHE_STEP = 256
"""Tokens by which mlx-lm's caches grow."""

CPU_CHUNK = 128
"""Prompt tokens that the engine computes in one pass on a CPU.

That takes a third of a second, and larger chunks are no faster.
"""

GPU_CHUNK = 1024
"""The same on a GPU, which needs more of them to be busy."""

SCAN_STEP = 256
"""Tokens that mlx-lm's Mamba-2 scan takes at once."""

FUSED_HEAD_DIMS = frozenset({64, 80, 128})
"""Head dimensions for which a GPU's attention keeps its scores to itself.

From MLX's ``ScaledDotProductAttention::use_fallback`` for Metal; taken for CUDA as well.
"""

DEQUANTIZED_PART = 4 * 1024 * 1024
"""Weights that a load dequantises at once."""


def prefill_chunk(device: Device) -> int:
    """Prompt tokens that the engine computes in one pass on this device."""
    return CPU_CHUNK if device.backend == "cpu" else GPU_CHUNK


def estimate_chat(
    shape: Shape, weights: Weights, device: Device, tokens: int, *, chunk: int | None = None
) -> Estimate:
    """The peak while ``tokens`` of one conversation are computed and held.

    ``chunk``: prompt tokens in one pass; None: as the engine takes them.
    """
    chunk = min(chunk or prefill_chunk(device), max(tokens, 1))
    width = element_bytes(shape, device)
    kv = Term(
        "KV cache",
        width * kv_elements(shape, tokens, chunk),
        f"{tokens:,} tokens in {_kept(shape)}, {width} bytes a number",
    )
    working = Term(
        "Working memory",
        working_bytes(shape, device, context=tokens, chunk=chunk),
        f"activations or logits of {chunk:,} prompt tokens in one pass",
    )
    beside = kv.nbytes + working.nbytes
    terms = [weights_term(weights, device), kv, working]
    if (staged := loading_bytes(weights, device)) > beside:
        how = "a load holds its largest tensor twice, which is more than the chat takes"
        terms.append(Term("While loading", staged - beside, how))
    return Estimate(tuple(terms))


def working_bytes(shape: Shape, device: Device, *, context: int, chunk: int) -> int:
    """What one pass over ``chunk`` tokens, the last of ``context``, holds beside the KV cache.

    One whole layer's activations: MLX's back ends work some operations behind the graph,
    and what waits for them is not freed. Or the logits, where those are larger.
    """
    layer = max(_layer_elements(shape, each, device, context, chunk) for each in shape.layers)
    left = sum(_left_behind(each, chunk) for each in shape.layers)
    return element_bytes(shape, device) * (left + max(layer, chunk * shape.vocabulary))


def _layer_elements(shape: Shape, layer: Layer, device: Device, context: int, chunk: int) -> int:
    """Numbers alive while one layer computes a chunk."""
    stream = 4 * shape.hidden + layer.query_elements + layer.key_elements + layer.value_elements
    routed = 3 * layer.experts * shape.hidden  # tokens sorted by expert, their answers, and back
    mlp = 3 * layer.feed_forward + routed  # gate, up, and their product
    seen = min(context, layer.window + chunk) if layer.window else context
    scan = layer.scan_heads * 8 * min(chunk, SCAN_STEP) ** 2 + 2 * chunk * layer.inner
    return (
        chunk * (stream + mlp)
        + _score_elements(layer, device, seen, chunk)
        + layer.kv_elements * seen  # a cache that grows is copied, a layer at a time
        + scan
    )


def _score_elements(layer: Layer, device: Device, seen: int, chunk: int) -> int:
    """Attention scores, where the device's attention writes them down."""
    scores = layer.heads * chunk * seen
    if layer.latent:
        # Positions have scores of their own, and all tokens' keys and values are expanded.
        return 2 * scores + layer.key_elements * seen
    head_dim = layer.query_elements // max(layer.heads, 1)
    fused = device.backend != "cpu" and head_dim in FUSED_HEAD_DIMS
    return 0 if fused else scores


def _left_behind(layer: Layer, chunk: int) -> int:
    """What a recurrent layer keeps until the whole pass is computed.

    Nothing else in the pass needs its next state, so that is computed last: until then
    there are the scan's decays and inputs, and the old state. The convolution's state is a
    view, which holds all of what the convolution read.
    """
    if layer.kind not in ("recurrent", "both"):
        return 0
    decays = layer.scan_heads * min(chunk, SCAN_STEP) ** 2
    return chunk * (layer.inner + layer.convolved) + decays + layer.state_elements


def loading_bytes(weights: Weights, device: Device) -> int:
    """What a load holds beside the weights: its largest tensor as the file has it.

    Where weights stay as they are, they are read in place.
    """
    if not device.compute_float32:
        return 0
    # Of the part that is dequantised: its numbers twice, and a scale and a bias for every 32.
    part = 4 * (2 * DEQUANTIZED_PART + DEQUANTIZED_PART // 16) if weights.quantized else 0
    return weights.largest_nbytes + part


def element_bytes(shape: Shape, device: Device) -> int:
    """Bytes of one number in keys, values and activations."""
    return 4 if device.compute_float32 or shape.wide else 2


def weights_term(weights: Weights, device: Device) -> Term:
    """What the weights take in memory."""
    how = (
        f"{weights.parameters:,} parameters in float32, which is how a CPU computes"
        if device.compute_float32
        else f"{weights.parameters:,} parameters as their files hold them"
    )
    return Term("Weights", weights.held_bytes(device), how)


def kv_elements(shape: Shape, tokens: int, chunk: int = 1) -> int:
    """Numbers kept for a sequence of ``tokens``, computed ``chunk`` at a time."""
    return sum(_kept_elements(layer, tokens, chunk) for layer in shape.layers)


def _kept_elements(layer: Layer, tokens: int, chunk: int) -> int:
    held = -(-tokens // CACHE_STEP) * CACHE_STEP
    if layer.window:
        # A window's cache holds a chunk beyond it, so that its first token sees all of its own.
        held = min(tokens, layer.window + chunk - 1)
    return layer.kv_elements * held + layer.state_elements


def _kept(shape: Shape) -> str:
    """Which layers keep what, in words."""
    names = {
        "full": "with full attention",
        "window": "with a sliding window",
        "recurrent": "with a recurrent state",
        "both": "with attention and a recurrent state",
    }
    counts = {kind: sum(layer.kind == kind for layer in shape.layers) for kind in names}
    parts = [f"{count} layers {names[kind]}" for kind, count in counts.items() if count]
    return ", ".join(parts) or "no layers"
