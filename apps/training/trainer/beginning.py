"""Weights of an adapter that a run goes on from: ``mlx_lm.lora --resume-adapter-file``.

mlx-lm passes over weights that the model has no place for, and leaves new what the file lacks.
Here both are refused: whoever goes on from an adapter means all of it.
"""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import mlx.nn as nn

from apps.training.trainer.checkpoints import Arrays
from apps.training.trainer.errors import BadConfig
from apps.training.trainer.ranks import World
from apps.training.trainer.setup import trainable

_SHOWN = 3
"""Names of layers in a message."""


def begin_with(model: nn.Module, file: Path, world: World) -> None:
    """Give the trainable parameters what the first rank reads in ``file``. Raises BadConfig."""
    if world.is_first:
        weights = _read(file)
        _require_same(weights, trainable(model))
        model.load_weights(list(weights.items()), strict=False)
    model.load_weights(list(world.arrays(trainable(model)).items()), strict=False)
    mx.eval(model.parameters())


def _read(file: Path) -> Arrays:
    try:
        # By its format: of other names MLX would take other ones.
        loaded = mx.load(str(file), format="safetensors")
        mx.eval(loaded)
    except (OSError, RuntimeError, ValueError) as error:
        raise BadConfig(
            f"The adapter to go on from can't be read: {error}. Choose another one, or none."
        ) from error
    assert isinstance(loaded, dict)
    return loaded


def _require_same(found: Arrays, wanted: Arrays) -> None:
    """Raises BadConfig, with some of what differs."""
    if surplus := _shown(found.keys() - wanted.keys()):
        raise BadConfig(
            f"The adapter to go on from changes {surplus}, which the run does not train. Use its "
            "method, layers and keys."
        )
    if missing := _shown(wanted.keys() - found.keys()):
        raise BadConfig(
            f"The adapter to go on from has no weights of {missing}, which the run trains. Use its "
            "method, layers and keys."
        )
    for name, array in sorted(found.items()):
        if array.shape != wanted[name].shape:
            raise BadConfig(
                f"{name} has the shape {array.shape} in the adapter to go on from, and "
                f"{wanted[name].shape} in the run. Use its rank, and the base that it was trained "
                "on."
            )


def _shown(names: set[str]) -> str:
    first = sorted(names)[:_SHOWN]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(first) + more
