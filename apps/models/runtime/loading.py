"""Model folder to model in memory, held the way this device computes fastest.

A load can be taken part by part, so that whoever owns the thread can do other
work in between: all of MLX's work has to happen on one thread.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.models.runtime import accelerator
from apps.models.runtime.accelerator import AcceleratorProfile
from apps.models.runtime.context import context_length
from apps.models.runtime.embedding.description import (
    ENCODERS,
    EmbeddingDescription,
    describe_embedding,
)
from apps.models.runtime.errors import ModelFormatError, ModelLoadError
from apps.models.runtime.headers import read_json

# Whoever imports this module first must not cost MLX its fast BLAS.
accelerator.prepare()

import mlx.core as mx  # noqa: E402
import mlx.nn as nn  # noqa: E402
from mlx.utils import tree_flatten, tree_unflatten  # noqa: E402
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear  # noqa: E402
from mlx_lm.tokenizer_utils import TokenizerWrapper  # noqa: E402
from mlx_lm.utils import load_model, load_tokenizer  # noqa: E402

from apps.models.runtime.cpu.layout import lay_out  # noqa: E402
from apps.models.runtime.embedding.building import build_encoder  # noqa: E402

# What mlx-lm, MLX and transformers are seen to raise on folders that are wrong
# in one way or another; nothing narrower covers foreign configurations.
_LOAD_FAILURES = (
    OSError,
    ValueError,
    RuntimeError,
    KeyError,
    TypeError,
    AttributeError,
    ImportError,
    IndexError,
    AssertionError,
    ArithmeticError,
)


_PART_ELEMENTS = 4 * 1024 * 1024
"""Weights dequantised in one part: some 50 ms on a CPU."""

_TOKENIZER_PATIENCE = 0.01
"""Seconds that a part waits for the tokenizer, once the weights are there."""


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run, on the thread that loaded it."""

    model: nn.Module
    tokenizer: TokenizerWrapper
    config: dict[str, Any]
    """config.json as mlx-lm read it."""
    context_length: int
    """Longest context in tokens."""
    weights_bytes: int
    """Bytes of the weights as they lie in memory."""
    embedding: EmbeddingDescription | None = None
    """How it makes vectors; None for a model that generates text."""


def load(path: Path, profile: AcceleratorProfile) -> LoadedModel:
    """Load the mlx-lm model folder ``path`` in one go; else as ``load_in_parts``."""
    *_, loaded = load_in_parts(path, profile)
    assert isinstance(loaded, LoadedModel)
    return loaded


def load_in_parts(
    path: Path, profile: AcceleratorProfile
) -> Generator[int | LoadedModel, None, None]:
    """Load the mlx-lm model folder ``path``; no code from the folder is run.

    Yields, after each part of a layer's size, the bytes of weights that are in memory
    so far, and at last the model. Closing it early frees them.

    On a device that computes in float32 the weights are dequantised and widened,
    one layer at a time: memory peaks one layer above the result. The tokenizer is read
    beside that, on a thread of its own: it is no MLX. Raises ModelLoadError.
    """
    # Not as a context manager: that would wait for the tokenizer of an abandoned load.
    beside = ThreadPoolExecutor(1, thread_name_prefix="tokenizer")
    try:
        embedding = describe_embedding(path, read_json(path / "config.json"))
        model, config = _build(path)
        yield 0  # what comes next, the tokenizer, may hold Python's lock for a while
        tokenizer = beside.submit(_tokenizer, path, config)
        if not profile.compute_float32 and config.get("source_format") == "gguf":
            _settle(model, config)
        held = 0
        for nbytes in _read(model, widen=profile.compute_float32):
            held += nbytes
            yield held
        while not _finished(tokenizer):
            yield held
        yield _loaded(model, tokenizer.result(), config, embedding)
    except ModelFormatError as error:
        raise ModelLoadError(f"The model in {path.name} could not be loaded. {error}") from error
    except _LOAD_FAILURES as error:
        raise ModelLoadError(_explain(path, error)) from error
    finally:
        beside.shutdown(wait=False, cancel_futures=True)
        # Layers are built with random weights that nobody computes. The generator's key is the
        # last of those drawings and would hold on to all of them, of every load.
        mx.eval(mx.random.state)
        mx.clear_cache()


def read_tokenizer(path: Path, config: dict[str, Any]) -> TokenizerWrapper:
    """The tokenizer of the model folder ``path`` with this config.json. Raises ModelLoadError."""
    try:
        return _tokenizer(path, config)
    except _LOAD_FAILURES as error:
        raise ModelLoadError(_explain(path, error)) from error


def _tokenizer(path: Path, config: dict[str, Any]) -> TokenizerWrapper:
    return load_tokenizer(
        path, {"trust_remote_code": False}, eos_token_ids=config.get("eos_token_id")
    )


def _build(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The model and its configuration, its weights not read yet."""
    if read_json(path / "config.json").get("model_type") in ENCODERS:
        return build_encoder(path)
    model, config = load_model(path, lazy=True, trust_remote_code=False)
    return model, config


def _finished(tokenizer: Future[TokenizerWrapper]) -> bool:
    """Whether it is there; waits a moment, so that asking again at once is no busy loop."""
    return bool(wait([tokenizer], timeout=_TOKENIZER_PATIENCE).done)


def _loaded(
    model: nn.Module,
    tokenizer: TokenizerWrapper,
    config: dict[str, Any],
    embedding: EmbeddingDescription | None,
) -> LoadedModel:
    length_of = embedding.context_length if embedding else context_length
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        config=config,
        context_length=length_of(config, getattr(tokenizer, "model_max_length", None)),
        weights_bytes=sum(array.nbytes for _, array in tree_flatten(model.parameters())),
        embedding=embedding,
    )


def _read(model: nn.Module, *, widen: bool) -> Iterator[int]:
    """Bring the weights into memory module by module; yields the bytes of each."""
    for name, module in model.named_modules():
        if widen:
            module = yield from _widened(model, name, module)
            if type(module) is nn.Linear:
                lay_out(module)
        arrays = [value for value in module.values() if isinstance(value, mx.array)]
        if arrays:
            mx.eval(arrays)
            yield sum(array.nbytes for array in arrays)
    # What lies in lists and dictionaries of a module rather than in itself.
    if widen:
        model.set_dtype(mx.float32)
    mx.eval(model.parameters())


def _widened(model: nn.Module, name: str, module: nn.Module) -> Generator[int, None, nn.Module]:
    """The module in float32, in the place of ``module``; its children stay as they are.

    Yields 0 bytes between the parts of a large one.
    """
    plain = yield from _dequantized(module)
    if plain is not None:
        model.update_modules(tree_unflatten([(name, plain)]))
        module.clear()
        mx.eval(plain.parameters())
        mx.clear_cache()
        return plain
    for key, value in module.items():
        if isinstance(value, mx.array):
            module[key] = _float32(value)
    return module


def _settle(model: nn.Module, config: dict[str, Any]) -> None:
    """Bring a GGUF import's float32 norms and biases to the type of its matrices.

    GGUF keeps them in float32 always. One such operand turns the whole residual
    stream, and with it the KV cache, into float32: twice the memory for nothing.
    """
    target = {"float16": mx.float16, "bfloat16": mx.bfloat16}.get(config.get("dtype", ""))
    if target is not None:
        model.set_dtype(target, predicate=lambda dtype: dtype == mx.float32)


def _float32(array: mx.array) -> mx.array:
    return array.astype(mx.float32) if mx.issubdtype(array.dtype, mx.floating) else array


def _dequantized(module: nn.Module) -> Generator[int, None, nn.Module | None]:
    """The layer ``module`` stands for, in float32; None where it is not quantised.

    The scales are widened before they are applied: half-precision products would
    round weights that float32 can hold exactly. An embedding may have a hundred times
    the rows of any other layer, so rows are taken so many at a time.
    """
    if not isinstance(module, nn.QuantizedLinear | nn.QuantizedEmbedding | QuantizedSwitchLinear):
        return None
    rows = module["weight"].shape[0]
    step = max(1, _PART_ELEMENTS * rows // (module["scales"].size * module.group_size))
    weight = _dequantized_rows(module, 0, step)
    if step < rows:
        whole = mx.zeros((rows, *weight.shape[1:]))
        for start in range(0, rows, step):
            # In place: nobody else holds the array.
            whole[start : start + step] = _dequantized_rows(module, start, start + step)
            mx.eval(whole)
            yield 0
        weight = whole
    return _plain_layer(module, weight)


def _dequantized_rows(module: nn.Module, start: int, stop: int) -> mx.array:
    scales, biases = module["scales"][start:stop], module.get("biases")
    if module.mode == "affine":
        scales, biases = scales.astype(mx.float32), biases[start:stop].astype(mx.float32)
    return mx.dequantize(
        module["weight"][start:stop], scales, biases, module.group_size, module.bits, module.mode,
        global_scale=module.get("global_scale"), dtype=mx.float32,
    )  # fmt: skip


def _plain_layer(module: nn.Module, weight: mx.array) -> nn.Module:
    # The constructors draw random weights of the size they are given: lazily, and never used.
    plain: nn.Module
    if isinstance(module, nn.QuantizedEmbedding):
        plain = nn.Embedding(*weight.shape)
    elif isinstance(module, QuantizedSwitchLinear):
        plain = SwitchLinear(*weight.shape[::-1], bias="bias" in module)
    else:
        plain = nn.Linear(*weight.shape[::-1], bias="bias" in module)
    plain["weight"] = weight
    if "bias" in module:
        plain["bias"] = _float32(module["bias"])
    return plain


def _explain(path: Path, error: Exception) -> str:
    detail = " ".join(str(error).split())[:300].rstrip(".? ") or type(error).__name__
    if isinstance(error, json.JSONDecodeError):
        why = f"one of its JSON files is damaged ({detail})"
    elif isinstance(error, FileNotFoundError):
        why = f"a file is missing ({detail})"
    elif "custom module" in detail or "trust_remote_code" in detail:
        why = "it needs code of its own, and code that comes with a model is never run here"
    elif isinstance(error, TypeError | KeyError | AttributeError):
        why = f"its configuration does not describe a model that mlx-lm can build ({detail})"
    else:
        why = detail
    return (
        f"The model in {path.name} could not be loaded: {why}. "
        "Check that the folder is a complete MLX model of a supported kind, or download it again."
    )
