"""A model folder written anew with other bits."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_map_with_path
from mlx_lm.convert import mixed_quant_predicate_builder
from mlx_lm.utils import quantize_model

from apps.models.runtime.accelerator import AcceleratorProfile
from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.staging import staged_folder
from apps.models.runtime.work.building import build, unpack
from apps.models.runtime.work.events import Figures, Measured
from apps.models.runtime.work.measuring import measure, weigh
from apps.models.runtime.work.orders import (
    DEFAULT_GROUP_SIZE,
    ConvertOrder,
    Dtype,
    Quantization,
)
from apps.models.runtime.work.saving import Progress, save_model


def convert(order: ConvertOrder, profile: AcceleratorProfile, report: Progress) -> Figures:
    """Write ``order.destination``, whole or not at all; what was measured before and after.

    A model that is packed already is unpacked first: packing what is packed would change
    nothing. Raises ModelFormatError, ModelLoadError, ImportDestinationError.
    """
    before = _measured(order, profile, report, "measuring the original", 0.02)
    report("reading", 0.2)
    model, config = build(order.source)
    if config.get("quantization") is not None:
        model = unpack(model, config)
    if order.dtype is not None:
        _cast(model, order.dtype)
        config["torch_dtype"] = config["dtype"] = order.dtype
    if order.quantization is not None:
        model, config = _packed(model, config, order.quantization)
    with staged_folder(order.destination) as folder:
        save_model(
            model,
            config,
            order.source,
            folder,
            lambda doing, done: report(doing, 0.2 + 0.6 * done),
        )
        del model
        mx.clear_cache()
        report("measuring the result", 0.85)
        after = measure(folder, profile) if order.measure else weigh(folder)
    return Figures(before=before, after=after)


def _measured(
    order: ConvertOrder,
    profile: AcceleratorProfile,
    report: Progress,
    doing: str,
    fraction: float,
) -> Measured:
    report(doing, fraction)
    return measure(order.source, profile) if order.measure else weigh(order.source)


def _packed(
    model: nn.Module, config: dict[str, Any], wanted: Quantization
) -> tuple[nn.Module, dict[str, Any]]:
    affine = wanted.mode == "affine"
    group = wanted.group_size or DEFAULT_GROUP_SIZE if affine else None
    predicate = None
    if wanted.mixed:
        try:
            predicate = mixed_quant_predicate_builder(wanted.mixed, model, group)
        except ValueError as error:
            raise ModelFormatError(
                f"The recipe {wanted.mixed} needs layers that this model does not have. "
                "Choose bits instead."
            ) from error
    model, config = quantize_model(
        model, config, group, wanted.bits, mode=wanted.mode, quant_predicate=predicate
    )
    if not any(hasattr(module, "scales") for _, module in model.named_modules()):
        raise ModelFormatError(
            f"No matrix of this model is a multiple of {group or 32} weights wide, so none can be "
            "packed so. Choose a smaller group size."
        )
    return model, config


def _cast(model: nn.Module, dtype: Dtype) -> None:
    """Bring the weights to ``dtype``, but for those the model itself wants as they are."""
    wanted = getattr(mx, dtype)
    casts = getattr(model, "cast_predicate", lambda name: True)

    def cast(name: str, array: mx.array) -> mx.array:
        floating = mx.issubdtype(array.dtype, mx.floating)
        return array.astype(wanted) if floating and casts(name) else array

    model.update(tree_map_with_path(cast, model.parameters()))
