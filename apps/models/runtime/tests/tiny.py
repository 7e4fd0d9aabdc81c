"""Tiny random models as GGUF files, and the weights they were made from.

Written with the gguf package's own writer, the way llama.cpp's converter does:
llama's q and k rows are permuted, norms and biases are float32.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFWriter
from gguf.quants import dequantize, quantize
from tokenizers.pre_tokenizers import ByteLevel

ALPHABET = sorted(ByteLevel.alphabet())
MERGES = ["h e", "l l", "he ll", "hell o", "Ġ w", "Ġw o", "1 2", "12 3"]
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TOKENS = [*CONTROL, *ALPHABET, *(m.replace(" ", "") for m in MERGES)]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
)

VOCABULARY = 320  # padded up, as real ones are
EXPERTS, USED_EXPERTS = 4, 2
LAYERS, HIDDEN, INNER, HEADS, KV_HEADS = 2, 64, 96, 4, 2


@dataclass
class TinyModel:
    """What to write. ``metadata`` replaces single values; None leaves a key out."""

    architecture: str = "llama"
    matrices: Type = Type.Q4_1
    embedding: Type = Type.Q8_0
    tied: bool = True
    pre: str = "smollm"
    seed: int = 0
    hidden: int = HIDDEN
    inner: int = INNER
    vocabulary: int = VOCABULARY
    metadata: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, np.ndarray] = field(default_factory=dict)
    """Further float32 tensors under GGUF's names."""

    @property
    def head_dim(self) -> int:
        return 32 if self.architecture.startswith("qwen3") else self.hidden // HEADS


def tokens() -> list[str]:
    return [*TOKENS, *(f"[PAD{i}]" for i in range(VOCABULARY - len(TOKENS)))]


def token_types() -> list[int]:
    used = [3] * len(CONTROL) + [1] * (len(TOKENS) - len(CONTROL))
    return used + [5] * (VOCABULARY - len(TOKENS))


def write_gguf(
    path: Path,
    model: TinyModel | None = None,
    raw_tensors: dict[str, tuple[np.ndarray, Type]] | None = None,
) -> dict[str, np.ndarray]:
    """Write the file; returns mlx-lm's names with the float32 values the file means.

    ``raw_tensors`` are written as they are given, in the place of the model's own.
    """
    model = model or TinyModel()
    writer = GGUFWriter(path, model.architecture)
    for key, value in (_metadata(model) | model.metadata).items():
        _add(writer, key, value)
    weights = {}
    for name, ours, values, type_, heads in _tensors(model):
        if raw_tensors and name in raw_tensors:
            raw, type_ = raw_tensors[name]
            writer.add_tensor(name, raw, raw_dtype=type_)
            continue
        stored = permute(values, heads) if heads else values
        raw = quantize(stored, type_) if type_ != Type.F32 else stored
        writer.add_tensor(name, raw, raw_dtype=type_)
        meant = dequantize(raw, type_).reshape(values.shape) if type_ != Type.F32 else stored
        weights[ours] = _unpermute(meant, heads) if heads else meant
    for name, values in model.extra.items():
        writer.add_tensor(name, values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights


def _add(writer: GGUFWriter, key: str, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)


def _metadata(model: TinyModel) -> dict[str, Any]:
    arch = model.architecture
    return {
        f"{arch}.block_count": LAYERS,
        f"{arch}.context_length": 512,
        f"{arch}.embedding_length": model.hidden,
        f"{arch}.feed_forward_length": model.inner,
        f"{arch}.attention.head_count": HEADS,
        f"{arch}.attention.head_count_kv": KV_HEADS,
        f"{arch}.attention.key_length": model.head_dim,
        f"{arch}.attention.value_length": model.head_dim,
        f"{arch}.attention.layer_norm_rms_epsilon": 1e-6,
        f"{arch}.rope.freq_base": 50_000.0,
        **_mixture(model),
        "general.license": "apache-2.0",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": model.pre,
        "tokenizer.ggml.tokens": tokens(),
        "tokenizer.ggml.token_type": token_types(),
        "tokenizer.ggml.merges": MERGES,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.chat_template": TEMPLATE,
    }


def _mixture(model: TinyModel) -> dict[str, int]:
    if model.architecture != "qwen3moe":
        return {}
    return {
        "qwen3moe.expert_count": EXPERTS,
        "qwen3moe.expert_used_count": USED_EXPERTS,
        "qwen3moe.expert_feed_forward_length": model.inner,
    }


def _tensors(model: TinyModel) -> list[tuple[str, str, np.ndarray, Type, int]]:
    """(GGUF name, mlx-lm name, values, type, permuted heads)."""
    hidden, inner = model.hidden, model.inner
    random = np.random.default_rng(model.seed)
    q, kv = HEADS * model.head_dim, KV_HEADS * model.head_dim
    llama = model.architecture == "llama"

    def matrix(rows: int, columns: int) -> np.ndarray:
        return (random.standard_normal((rows, columns)) * 0.1).astype(np.float32)

    def vector(size: int) -> np.ndarray:
        return (1 + random.standard_normal(size) * 0.1).astype(np.float32)

    found = [
        ("token_embd.weight", "model.embed_tokens.weight", matrix(model.vocabulary, hidden),
         model.embedding, 0),
        ("output_norm.weight", "model.norm.weight", vector(hidden), Type.F32, 0),
    ]  # fmt: skip
    if not model.tied:
        found.append(
            ("output.weight", "lm_head.weight", matrix(model.vocabulary, hidden), model.matrices, 0)
        )
    matrices = {
        "attn_q": ("self_attn.q_proj", q, hidden, HEADS if llama else 0),
        "attn_k": ("self_attn.k_proj", kv, hidden, KV_HEADS if llama else 0),
        "attn_v": ("self_attn.v_proj", kv, hidden, 0),
        "attn_output": ("self_attn.o_proj", hidden, q, 0),
        "ffn_gate": ("mlp.gate_proj", inner, hidden, 0),
        "ffn_up": ("mlp.up_proj", inner, hidden, 0),
        "ffn_down": ("mlp.down_proj", hidden, inner, 0),
    }
    if model.architecture == "qwen3moe":
        matrices = {name: shape for name, shape in matrices.items() if name.startswith("attn")}
    vectors = {
        "attn_norm.weight": ("input_layernorm.weight", hidden),
        "ffn_norm.weight": ("post_attention_layernorm.weight", hidden),
    }
    if model.architecture == "qwen2":
        vectors |= {
            "attn_q.bias": ("self_attn.q_proj.bias", q),
            "attn_k.bias": ("self_attn.k_proj.bias", kv),
            "attn_v.bias": ("self_attn.v_proj.bias", kv),
        }
    if model.architecture.startswith("qwen3"):
        vectors |= {
            "attn_q_norm.weight": ("self_attn.q_norm.weight", model.head_dim),
            "attn_k_norm.weight": ("self_attn.k_norm.weight", model.head_dim),
        }
    for layer in range(LAYERS):
        theirs, ours = f"blk.{layer}.", f"model.layers.{layer}."
        for name, (target, rows, columns, heads) in matrices.items():
            found.append((f"{theirs}{name}.weight", f"{ours}{target}.weight",
                          matrix(rows, columns), model.matrices, heads))  # fmt: skip
        if model.architecture == "qwen3moe":
            found += _experts(theirs, ours, matrix, model)
        for name, (target, size) in vectors.items():
            found.append((theirs + name, ours + target, vector(size), Type.F32, 0))
    return found


def _experts(theirs: str, ours: str, matrix: Any, model: TinyModel) -> list[Any]:
    """A layer's router, and its experts' matrices one upon another."""

    def stacked(rows: int, columns: int) -> np.ndarray:
        return np.stack([matrix(rows, columns) for _ in range(EXPERTS)])

    hidden, inner, type_ = model.hidden, model.inner, model.matrices
    up, down = (inner, hidden), (hidden, inner)
    router = (f"{theirs}ffn_gate_inp.weight", f"{ours}mlp.gate.weight", matrix(EXPERTS, hidden))
    return [
        (*router, Type.F32, 0),
        *(
            (f"{theirs}ffn_{name}_exps.weight", f"{ours}mlp.switch_mlp.{name}_proj.weight",
             stacked(*shape), type_, 0)
            for name, shape in (("gate", up), ("up", up), ("down", down))
        ),
    ]  # fmt: skip


def permute(weights: np.ndarray, heads: int) -> np.ndarray:
    """``LlamaModel.permute`` of llama.cpp's convert_hf_to_gguf.py."""
    rows, *rest = weights.shape
    halves = weights.reshape(heads, 2, rows // heads // 2, *rest)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weights.shape))


def _unpermute(weights: np.ndarray, heads: int) -> np.ndarray:
    rows, *rest = weights.shape
    pairs = weights.reshape(heads, rows // heads // 2, 2, *rest)
    return pairs.swapaxes(1, 2).reshape(weights.shape)
