"""An adapter's folder to factors that fit the layers of this base."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear

from apps.inference.engine.adapters.factors import Factors
from apps.inference.engine.errors import AdapterFailed, InsufficientMemory
from apps.inference.engine.ledger import readable
from apps.inference.engine.protocol import AdapterSpec
from apps.models.runtime.adapters import AdapterFolder, read_adapter, weights_bytes
from apps.models.runtime.errors import AdapterFormatError

_EMBEDDING = (nn.Embedding, nn.QuantizedEmbedding)
_SWITCH = (SwitchLinear, QuantizedSwitchLinear)


def require_room(spec: AdapterSpec, room: int) -> None:
    """Raises InsufficientMemory for an adapter whose file is larger than ``room`` bytes."""
    nbytes = weights_bytes(Path(spec.path))
    if nbytes > room:
        raise InsufficientMemory(
            f"The adapter {spec.name} takes {readable(nbytes)}; {readable(max(0, room))} are "
            "free. Unload other models, or raise MLXHUB_MEMORY_CEILING_GB."
        )


def read_factors(
    spec: AdapterSpec, base_layer: Callable[[str], Any], dtype: mx.Dtype
) -> dict[str, Factors]:
    """The adapter's part in each layer it changes, by the layer's name, evaluated.

    ``base_layer``: the model's layer of a name; raises ValueError where it has none that
    can be adapted. ``dtype``: what the model computes in. Raises AdapterFailed.
    """
    try:
        folder = read_adapter(Path(spec.path))
    except AdapterFormatError as error:
        raise AdapterFailed(str(error)) from error
    if folder.digest != spec.digest:
        raise AdapterFailed(
            f"The adapter {spec.name} has changed since it was registered. Register it again."
        )
    try:
        factors = _fit(folder, base_layer, dtype)
        _require_finite(factors)
    except (ValueError, RuntimeError) as error:
        raise AdapterFailed(
            f"The adapter {spec.name} can't be used with this model: {error}. Choose the model "
            "that it was trained on, or train it again."
        ) from error
    return factors


def _fit(
    folder: AdapterFolder, base_layer: Callable[[str], Any], dtype: mx.Dtype
) -> dict[str, Factors]:
    """Raises ValueError where a layer is missing or of another shape."""
    weights = mx.load(io.BytesIO(folder.weights), format="safetensors")
    assert isinstance(weights, dict)
    is_dora = folder.config.fine_tune_type == "dora"
    scale = folder.config.lora_parameters.scale
    factors = {}
    for name in sorted(folder.layers):
        layer = base_layer(name)
        a, b = weights[f"{name}.lora_a"], weights[f"{name}.lora_b"].astype(mx.float32) * scale
        if isinstance(layer, _SWITCH):
            a, b = a.swapaxes(-1, -2), b.swapaxes(-1, -2)
        _check_shape(name, layer, a, b)
        magnitude = weights.get(f"{name}.m")
        if (magnitude is not None) != is_dora:
            raise ValueError(f"{name} is not of the kind that its configuration names")
        if magnitude is not None:
            magnitude = _magnitude(name, layer, a, b, magnitude)
        factors[name] = Factors(a.astype(dtype), b.astype(dtype), magnitude)
    return factors


def _check_shape(name: str, layer: Any, a: mx.array, b: mx.array) -> None:
    shape = _shape(layer)
    found = (*a.shape[:-1], b.shape[-1])
    if shape != found:
        raise ValueError(f"{name} is of shape {shape}, and the adapter expects {found}")


def _shape(layer: Any) -> tuple[int, ...]:
    """What goes in and out: (in, out), (vocabulary, out) or (experts, in, out)."""
    if isinstance(layer, _SWITCH):
        return (layer.num_experts, layer.input_dims, layer.output_dims)
    rows, columns = layer.weight.shape
    if isinstance(layer, nn.QuantizedLinear | nn.QuantizedEmbedding):
        columns = layer.scales.shape[-1] * layer.group_size
    return (rows, columns) if isinstance(layer, _EMBEDDING) else (columns, rows)


def _magnitude(name: str, layer: Any, a: mx.array, b: mx.array, m: mx.array) -> mx.array:
    """DoRA's m over the norm of the adapted weights, in float32 and evaluated."""
    weight = _dense(layer)
    if isinstance(layer, _SWITCH) or m.shape != (weight.shape[0],):
        raise ValueError(f"the magnitudes of {name} are of shape {m.shape}")
    update = a.astype(mx.float32) @ b.astype(mx.float32)
    adapted = weight + (update if isinstance(layer, _EMBEDDING) else update.T)
    norm = mx.linalg.norm(adapted, axis=1)
    magnitude = mx.where(norm > 0, m.astype(mx.float32) / norm, 1.0)
    # One layer's dense weights at a time.
    mx.eval(magnitude)
    return magnitude


def _dense(layer: Any) -> mx.array:
    """A layer's weights in float32."""
    weight: mx.array = layer.weight
    if isinstance(layer, nn.QuantizedLinear | nn.QuantizedEmbedding):
        weight = mx.dequantize(
            weight, layer.scales, layer.get("biases"), layer.group_size, layer.bits, layer.mode
        )
    return weight.astype(mx.float32)


def _require_finite(factors: Mapping[str, Factors]) -> None:
    """Evaluates all arrays. Raises ValueError where one holds what is no finite number.

    Other rows would get it as well: zero times it is no zero.
    """
    finite = {
        name: mx.stack([mx.isfinite(array).all() for array in part.arrays]).all()
        for name, part in factors.items()
    }
    mx.eval(finite, [part.arrays for part in factors.values()])
    for name, good in finite.items():
        if not good.item():
            raise ValueError(f"the weights for {name} hold numbers that are not finite")
