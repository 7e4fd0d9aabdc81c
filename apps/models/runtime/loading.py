"""Model folder to model in memory, held the way this device computes fastest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.models.runtime import accelerator
from apps.models.runtime.accelerator import AcceleratorProfile
from apps.models.runtime.context import context_length
from apps.models.runtime.errors import ModelLoadError

# Whoever imports this module first must not cost MLX its fast BLAS.
accelerator.prepare()

import mlx.core as mx  # noqa: E402
import mlx.nn as nn  # noqa: E402
from mlx.utils import tree_flatten, tree_unflatten  # noqa: E402
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear  # noqa: E402
from mlx_lm.tokenizer_utils import TokenizerWrapper  # noqa: E402
from mlx_lm.utils import load_model, load_tokenizer  # noqa: E402

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


def load(path: Path, profile: AcceleratorProfile) -> LoadedModel:
    """Load the mlx-lm model folder ``path``; no code from the folder is run.

    On a device that computes in float32 the weights are dequantised and widened,
    one layer at a time: memory peaks one layer above the result. Raises ModelLoadError.
    """
    try:
        model, config = load_model(path, lazy=True, trust_remote_code=False)
        tokenizer = load_tokenizer(
            path, {"trust_remote_code": False}, eos_token_ids=config.get("eos_token_id")
        )
        if profile.compute_float32:
            _widen(model)
        elif config.get("source_format") == "gguf":
            _settle(model, config)
        mx.eval(model.parameters())
    except _LOAD_FAILURES as error:
        mx.clear_cache()
        raise ModelLoadError(_explain(path, error)) from error
    mx.clear_cache()
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        config=config,
        context_length=context_length(config, getattr(tokenizer, "model_max_length", None)),
        weights_bytes=sum(array.nbytes for _, array in tree_flatten(model.parameters())),
    )


def _widen(model: nn.Module) -> None:
    """Dequantise and cast to float32 in place, layer by layer, freeing as it goes."""
    for name, module in model.named_modules():
        plain = _dequantized(module)
        if plain is not None:
            model.update_modules(tree_unflatten([(name, plain)]))
            module.clear()
            mx.eval(plain.parameters())
            mx.clear_cache()
    for module in reversed(model.modules()):
        module.set_dtype(mx.float32)
        mx.eval(module.parameters())


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


def _dequantized(module: nn.Module) -> nn.Module | None:
    """The layer ``module`` stands for, in float32; None where it is not quantised.

    The scales are widened before they are applied: half-precision products would
    round weights that float32 can hold exactly.
    """
    if not isinstance(module, nn.QuantizedLinear | nn.QuantizedEmbedding | QuantizedSwitchLinear):
        return None
    scales, biases = module["scales"], module.get("biases")
    if module.mode == "affine":
        scales, biases = scales.astype(mx.float32), biases.astype(mx.float32)
    weight = mx.dequantize(
        module["weight"], scales, biases, module.group_size, module.bits, module.mode,
        global_scale=module.get("global_scale"), dtype=mx.float32,
    )  # fmt: skip
    return _plain_layer(module, weight)


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
