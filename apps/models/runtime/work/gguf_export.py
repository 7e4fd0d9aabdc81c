"""A model folder as one GGUF file, the inverse of ``runtime.gguf``: what llama.cpp reads.

Matrices are written as float16, norms and biases as float32. A packed model is unpacked:
GGUF's own quantisations are made from the result, by ``llama-quantize``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from gguf import MODEL_ARCH_NAMES, GGMLQuantizationType, GGUFWriter, get_tensor_name_map
from mlx.utils import tree_flatten

from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.gguf.config import ARCHITECTURES
from apps.models.runtime.gguf.rope import llama3_divisors
from apps.models.runtime.staging import require_space, staged_file
from apps.models.runtime.work.building import build, unpack
from apps.models.runtime.work.events import Figures
from apps.models.runtime.work.gguf_tokenizer import TokenizerData, read_tokenizer
from apps.models.runtime.work.orders import GgufOrder
from apps.models.runtime.work.saving import Progress

_SUFFIXES = (".weight", ".bias")


def export_gguf(order: GgufOrder, report: Progress) -> Figures:
    """Write ``order.destination``, whole or not at all; how large it is.

    Raises ModelFormatError for families and tokenizers that can't be written,
    ModelLoadError, ImportDestinationError.
    """
    report("reading", 0.0)
    model, config = build(order.source)
    arch = config["model_type"]
    if arch not in ARCHITECTURES:
        raise ModelFormatError(
            f"Models of the family {arch} can't be written as GGUF here; "
            f"{', '.join(ARCHITECTURES)} can. Export the folder instead."
        )
    if config.get("quantization") is not None:
        model = unpack(model, config)
    weights = dict(tree_flatten(model.parameters()))
    rows = weights["model.embed_tokens.weight"].shape[0]
    tokenizer = read_tokenizer(order.source, rows)
    with staged_file(order.destination) as file:
        require_space(file.parent, sum(2 * array.size for array in weights.values()))
        _write(file, weights, config, tokenizer, order.source.name, report)
    return Figures(size_bytes=order.destination.stat().st_size)


def _write(
    path: Path,
    weights: dict[str, mx.array],
    config: dict[str, Any],
    tokenizer: TokenizerData,
    name: str,
    report: Progress,
) -> None:
    writer = GGUFWriter(path, config["model_type"])
    try:
        writer.add_name(name)
        _add_sizes(writer, config)
        _add_tokenizer(writer, tokenizer)
        named = _named(weights, config)
        rope = _rope_divisors(config)
        if rope is not None:
            writer.add_tensor_info("rope_freqs.weight", rope.shape, rope.dtype, rope.nbytes)
        for theirs, ours in named.items():
            _announce(writer, theirs, weights[ours])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        if rope is not None:
            writer.write_tensor_data(rope)
        for done, ours in enumerate(named.values(), start=1):
            writer.write_tensor_data(_values(weights.pop(ours), ours, config))
            report("writing weights", done / len(named))
    finally:
        writer.close()


def _add_sizes(writer: GGUFWriter, config: dict[str, Any]) -> None:
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    head_dim = _head_dim(config)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(hidden)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(float(config.get("rope_theta") or 10_000.0))
    writer.add_layer_norm_rms_eps(float(config.get("rms_norm_eps") or 1e-5))
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(1)  # mostly float16


def _add_tokenizer(writer: GGUFWriter, tokenizer: TokenizerData) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(tokenizer.pre)
    writer.add_token_list(tokenizer.tokens)
    writer.add_token_types(tokenizer.types)
    writer.add_token_merges(tokenizer.merges)
    if tokenizer.bos is not None:
        writer.add_bos_token_id(tokenizer.bos)
    if tokenizer.eos is not None:
        writer.add_eos_token_id(tokenizer.eos)
    writer.add_add_bos_token(tokenizer.add_bos)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def _named(weights: dict[str, mx.array], config: dict[str, Any]) -> dict[str, str]:
    """mlx-lm's name of each tensor, under GGUF's. Raises ModelFormatError for one it lacks."""
    arch = {name: arch for arch, name in MODEL_ARCH_NAMES.items()}[config["model_type"]]
    names = get_tensor_name_map(arch, config["num_hidden_layers"])
    found = {names.get_name(ours, try_suffixes=_SUFFIXES): ours for ours in weights}
    if None in found:
        raise ModelFormatError(
            f"The model's tensor {found[None]!r} has no place in a GGUF file of its family. "
            "Export the folder instead."
        )
    return found


def _announce(writer: GGUFWriter, name: str, array: mx.array) -> None:
    width = 4 if array.ndim == 1 else 2
    kind = GGMLQuantizationType.F32 if array.ndim == 1 else GGMLQuantizationType.F16
    writer.add_tensor_info(
        name, array.shape, np.dtype(np.float32), array.size * width, raw_dtype=kind
    )


def _values(array: mx.array, name: str, config: dict[str, Any]) -> np.ndarray:
    """The tensor as it is written; llama's q and k rows permuted as llama.cpp's RoPE wants them."""
    values = np.array(array.astype(mx.float32 if array.ndim == 1 else mx.float16))
    if config["model_type"] != "llama":
        return values
    heads = config["num_attention_heads"]
    if ".q_proj." in name:
        return _permuted(values, heads)
    if ".k_proj." in name:
        return _permuted(values, config.get("num_key_value_heads") or heads)
    return values


def _permuted(values: np.ndarray, heads: int) -> np.ndarray:
    """``LlamaModel.permute`` of llama.cpp's convert_hf_to_gguf.py."""
    rows, *rest = values.shape
    halves = values.reshape(heads, 2, rows // heads // 2, *rest)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(values.shape))


def _rope_divisors(config: dict[str, Any]) -> np.ndarray | None:
    """What Llama 3 divides its frequencies by; None where positions are plain.

    Raises ModelFormatError for a scaling that is neither.
    """
    scaling = config.get("rope_scaling") or {}
    kind = scaling.get("rope_type") or scaling.get("type") or "default"
    if kind == "default":
        return None
    if kind != "llama3":
        raise ModelFormatError(
            f"The model stretches its context in a way ({kind}) that is not written as GGUF here. "
            "Export the folder instead."
        )
    theta = float(config.get("rope_theta") or 10_000.0)
    return llama3_divisors(_head_dim(config), theta, scaling["factor"]).astype(np.float32)


def _head_dim(config: dict[str, Any]) -> int:
    stated = config.get("head_dim")
    return int(stated or config["hidden_size"] // config["num_attention_heads"])
