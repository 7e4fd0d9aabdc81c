"""Which tensors a model family has, under GGUF's names and under mlx-lm's.

Names: ``gguf.constants.TENSOR_NAMES`` and ``mlx_lm/models/{llama,qwen2,qwen3}.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.gguf.config import ModelShape
from apps.models.runtime.gguf.reader import GGUFFile, GGUFTensor

# Rotary frequencies that config.json expresses as rope_scaling.
_FOLDED_INTO_CONFIG = {"rope_freqs.weight"}


@dataclass(frozen=True)
class MappedTensor:
    """A tensor under its new name."""

    source: GGUFTensor
    name: str
    """mlx-lm's name, such as "model.layers.0.self_attn.q_proj.weight"."""
    rope_heads: int = 0
    """Heads whose rows GGUF permuted for interleaved RoPE; 0 where it did not."""


@dataclass(frozen=True)
class _Expected:
    name: str
    shape: tuple[int, ...]
    rope_heads: int = 0


def map_tensors(file: GGUFFile, shape: ModelShape) -> list[MappedTensor]:
    """Every tensor of the file under mlx-lm's names, in the file's order.

    Raises ModelFormatError where one is missing, left over or of the wrong shape.
    """
    expected = _expected(shape)
    missing = expected.keys() - file.tensors.keys()
    if missing:
        raise ModelFormatError(
            f"{file.path.name} lacks {len(missing)} tensors of its model, {min(missing)!r} among "
            "them. It may be one part of several: merge the parts with `llama-gguf-split --merge`."
        )
    mapped = []
    for tensor in file.tensors.values():
        if tensor.name in _FOLDED_INTO_CONFIG:
            continue
        target = expected.get(tensor.name)
        if target is None or target.shape != tensor.shape:
            why = "is not known" if target is None else f"has the shape {tensor.shape}"
            raise ModelFormatError(
                f"{file.path.name} is of a kind that can't be imported: its tensor "
                f"{tensor.name!r} {why} in a plain {shape.architecture} model. "
                "Look for the model in MLX's own format instead."
            )
        mapped.append(MappedTensor(tensor, target.name, target.rope_heads))
    return mapped


def _expected(shape: ModelShape) -> dict[str, _Expected]:
    """GGUF name to mlx-lm name and row-major shape, for the whole model."""
    vocabulary = (shape.vocabulary, shape.hidden)
    expected = {
        "token_embd.weight": _Expected("model.embed_tokens.weight", vocabulary),
        "output_norm.weight": _Expected("model.norm.weight", (shape.hidden,)),
    }
    if not shape.tied_embeddings:
        expected["output.weight"] = _Expected("lm_head.weight", vocabulary)
    for layer in range(shape.layers):
        for name, target in _layer(shape).items():
            expected[f"blk.{layer}.{name}"] = _Expected(
                f"model.layers.{layer}.{target.name}", target.shape, target.rope_heads
            )
    return expected


def _layer(shape: ModelShape) -> dict[str, _Expected]:
    hidden = shape.hidden
    q, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    permuted = shape.architecture == "llama"
    q_heads, k_heads = (shape.heads, shape.kv_heads) if permuted else (0, 0)
    layer = {
        "attn_norm.weight": _Expected("input_layernorm.weight", (hidden,)),
        "ffn_norm.weight": _Expected("post_attention_layernorm.weight", (hidden,)),
        "attn_q.weight": _Expected("self_attn.q_proj.weight", (q, hidden), q_heads),
        "attn_k.weight": _Expected("self_attn.k_proj.weight", (kv, hidden), k_heads),
        "attn_v.weight": _Expected("self_attn.v_proj.weight", (kv, hidden)),
        "attn_output.weight": _Expected("self_attn.o_proj.weight", (hidden, q)),
    } | (_mixture(shape) if shape.experts else _feed_forward(shape))
    if shape.attention_bias:
        layer["attn_q.bias"] = _Expected("self_attn.q_proj.bias", (q,), q_heads)
        layer["attn_k.bias"] = _Expected("self_attn.k_proj.bias", (kv,), k_heads)
        layer["attn_v.bias"] = _Expected("self_attn.v_proj.bias", (kv,))
        if shape.architecture == "llama":
            layer["attn_output.bias"] = _Expected("self_attn.o_proj.bias", (hidden,))
    if shape.architecture in {"qwen3", "qwen3moe"}:
        layer["attn_q_norm.weight"] = _Expected("self_attn.q_norm.weight", (shape.head_dim,))
        layer["attn_k_norm.weight"] = _Expected("self_attn.k_norm.weight", (shape.head_dim,))
    return layer


def _feed_forward(shape: ModelShape) -> dict[str, _Expected]:
    hidden, inner = shape.hidden, shape.intermediate
    return {
        "ffn_gate.weight": _Expected("mlp.gate_proj.weight", (inner, hidden)),
        "ffn_up.weight": _Expected("mlp.up_proj.weight", (inner, hidden)),
        "ffn_down.weight": _Expected("mlp.down_proj.weight", (hidden, inner)),
    }


def _mixture(shape: ModelShape) -> dict[str, _Expected]:
    """A router, and the experts' matrices stacked, as mlx-lm has them too."""
    hidden, inner, experts = shape.hidden, shape.intermediate, shape.experts
    return {
        "ffn_gate_inp.weight": _Expected("mlp.gate.weight", (experts, hidden)),
        "ffn_gate_exps.weight": _Expected(
            "mlp.switch_mlp.gate_proj.weight", (experts, inner, hidden)
        ),
        "ffn_up_exps.weight": _Expected("mlp.switch_mlp.up_proj.weight", (experts, inner, hidden)),
        "ffn_down_exps.weight": _Expected(
            "mlp.switch_mlp.down_proj.weight", (experts, hidden, inner)
        ),
    }
