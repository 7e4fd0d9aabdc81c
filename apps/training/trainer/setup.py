"""From a configuration to a model with trainable parameters and its optimiser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers

from apps.training.trainer.activations import checkpoint_block
from apps.training.trainer.config import TrainingConfig
from apps.training.trainer.errors import BadConfig

_OPTIMIZERS: dict[str, type[optim.Optimizer]] = {
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "muon": optim.Muon,
    "sgd": optim.SGD,
    "adafactor": optim.Adafactor,
}

_QUANTIZED = (nn.QuantizedLinear, nn.QuantizedEmbedding)


def prepare_model(model: nn.Module, config: TrainingConfig) -> None:
    """Freeze the model and add what is to be trained, drawn from the seed.

    Raises BadConfig where the model has no such layers.
    """
    blocks = len(model.layers)
    if config.num_layers > blocks:
        raise BadConfig(
            f"num_layers is {config.num_layers}, and the model has {blocks} blocks. Use {blocks} "
            "or less, or -1 for all."
        )
    mx.random.seed(config.seed)
    model.freeze()
    chosen = model.layers[-max(config.num_layers, 0) :]
    if config.method == "full":
        if any(isinstance(module, _QUANTIZED) for _, module in model.named_modules()):
            raise BadConfig(
                "A quantised model can't be trained in full: its weights are no numbers that "
                "gradients can change. Use LoRA, or a model that is not quantised."
            )
        for block in chosen:
            block.unfreeze()
    else:
        _require_keys(chosen, config)
        try:
            linear_to_lora_layers(
                model,
                config.num_layers,
                config.lora.model_dump(),
                use_dora=config.method == "dora",
            )
        except ValueError as error:
            raise BadConfig(f"{config.method} does not fit this model: {error}.") from error
    if not trainable(model):
        raise BadConfig("Nothing of the model would be trained. Choose more layers or other keys.")
    if config.gradient_checkpointing:
        for block in model.layers:
            checkpoint_block(block)
    model.train()
    mx.eval(model.parameters())


def trainable(model: nn.Module) -> dict[str, mx.array]:
    """The parameters that training changes, by name."""
    return dict(tree_flatten(model.trainable_parameters()))


def _require_keys(blocks: list[nn.Module], config: TrainingConfig) -> None:
    """mlx-lm passes over keys that no layer has; one of them is mostly a misspelling."""
    if config.lora.keys is None:
        return
    names = {
        name
        for block in blocks
        for name, module in block.named_modules()
        if isinstance(module, nn.Linear | nn.QuantizedLinear) or hasattr(module, "to_lora")
    }
    unknown = sorted(set(config.lora.keys) - names)
    if unknown:
        raise BadConfig(
            f"The model's blocks have no layer called {', '.join(unknown)}. There are: "
            f"{', '.join(sorted(names))}."
        )


def make_optimizer(config: TrainingConfig) -> optim.Optimizer:
    """Raises BadConfig where it does not take the options."""
    kind = _OPTIMIZERS[config.optimizer]
    try:
        return kind(learning_rate=_rate(config), **config.optimizer_options)
    except (TypeError, ValueError) as error:
        raise BadConfig(f"{config.optimizer} does not take these options: {error}.") from error


def _rate(config: TrainingConfig) -> float | Callable[[mx.array], mx.array]:
    """The learning rate by update."""
    top, schedule = config.learning_rate, config.schedule
    rest = config.updates - schedule.warmup
    course: dict[str, Callable[[], Callable[[mx.array], mx.array]]] = {
        "linear": lambda: optim.linear_schedule(top, top * schedule.final, rest),
        "cosine": lambda: optim.cosine_decay(top, rest, top * schedule.final),
        "constant": lambda: lambda step: mx.array(top),
    }
    if schedule.kind == "constant" and not schedule.warmup:
        return top
    after = course[schedule.kind]()
    if not schedule.warmup:
        return after
    rise = optim.linear_schedule(0.0, top, schedule.warmup)
    joined: Callable[[mx.array], mx.array] = optim.join_schedules([rise, after], [schedule.warmup])
    return joined


def adapter_description(config: TrainingConfig) -> dict[str, Any]:
    """adapter_config.json, as mlx-lm reads it."""
    return {
        "fine_tune_type": config.method,
        "num_layers": config.num_layers,
        "lora_parameters": config.lora.model_dump(exclude_none=True),
        "model": Path(config.model).name,
    }
