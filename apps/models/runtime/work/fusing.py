"""An adapter made part of its base's weights: W + scale · (A B)ᵀ, and DoRA's magnitudes."""

from __future__ import annotations

import mlx.core as mx
from mlx.utils import tree_unflatten
from mlx_lm.utils import load_adapters

from apps.models.runtime.accelerator import AcceleratorProfile
from apps.models.runtime.adapters import read_adapter
from apps.models.runtime.errors import AdapterFormatError
from apps.models.runtime.staging import staged_folder
from apps.models.runtime.work.building import build, unpack
from apps.models.runtime.work.events import Figures
from apps.models.runtime.work.measuring import measure, weigh
from apps.models.runtime.work.orders import FuseOrder
from apps.models.runtime.work.saving import Progress, save_model


def fuse(order: FuseOrder, profile: AcceleratorProfile, report: Progress) -> Figures:
    """Write ``order.destination``, whole or not at all.

    Where the base is packed and stays so, the changed layers are packed anew as the base
    has them. Raises AdapterFormatError, ModelFormatError, ModelLoadError,
    ImportDestinationError.
    """
    report("reading", 0.02)
    # Checked as untrusted before mlx-lm builds layers of the sizes it names.
    read_adapter(order.adapter).require_base(order.source)
    model, config = build(order.source)
    try:
        model = load_adapters(model, str(order.adapter))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise AdapterFormatError(
            f"The adapter in {order.adapter.name} does not fit its base: {error}. Choose the model "
            "that it was trained on."
        ) from error
    fused = [
        (name, module.fuse(dequantize=order.dequantize))
        for name, module in model.named_modules()
        if hasattr(module, "fuse")
    ]
    model.update_modules(tree_unflatten(fused))
    if order.dequantize:
        model = unpack(model, config)
    with staged_folder(order.destination) as folder:
        save_model(
            model, config, order.source, folder, lambda doing, done: report(doing, 0.1 + 0.6 * done)
        )
        del model, fused
        mx.clear_cache()
        if not order.measure:
            return Figures(before=weigh(order.source), after=weigh(folder))
        report("measuring the base", 0.75)
        before = measure(order.source, profile)
        report("measuring the result", 0.88)
        return Figures(before=before, after=measure(folder, profile))
