"""What to change where a run failed, by the kind of its fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apps.training.trainer.config import TrainingConfig

SHORTEST = 64
"""Rows aren't cut to fewer tokens than this."""


@dataclass(frozen=True)
class Remedy:
    """Changed settings, by TrainingConfig's names, and what they are in words."""

    settings: dict[str, Any]
    words: str


def remedy(config: TrainingConfig, fault: str) -> Remedy | None:
    """None where other settings don't help, or there are no safer ones."""
    find = _REMEDIES.get(fault)
    return None if find is None else find(config)


def _less_memory(config: TrainingConfig) -> Remedy | None:
    if not config.gradient_checkpointing:
        return Remedy(
            {"gradient_checkpointing": True},
            "compute activations again instead of keeping them (gradient checkpointing)",
        )
    if config.batch_size > 1:
        batch = config.batch_size // 2
        factor = config.batch_size // batch
        return Remedy(
            {
                "batch_size": batch,
                "accumulation": config.accumulation * factor,
                "iters": config.iters * factor,
            },
            f"batches of {batch} instead of {config.batch_size}, {factor} of them for each update",
        )
    if config.max_seq_length // 2 >= SHORTEST:
        length = config.max_seq_length // 2
        return Remedy(
            {"max_seq_length": length},
            f"rows of at most {length:,} tokens instead of {config.max_seq_length:,}",
        )
    if config.num_layers > 1:
        layers = config.num_layers // 2
        return Remedy({"num_layers": layers}, f"{layers} layers instead of {config.num_layers}")
    return None


def _steadier(config: TrainingConfig) -> Remedy:
    changed: dict[str, Any] = {"learning_rate": config.learning_rate / 2}
    words = f"a learning rate of {config.learning_rate / 2:g} instead of {config.learning_rate:g}"
    if config.max_grad_norm is None:
        changed["max_grad_norm"] = 1.0
        words += ", gradients not longer than 1"
    return Remedy(changed, words)


def _less_disk(config: TrainingConfig) -> Remedy | None:
    if config.keep_checkpoints == 1:
        return None
    return Remedy({"keep_checkpoints": 1}, "one checkpoint kept instead of several")


_REMEDIES: dict[str, Callable[[TrainingConfig], Remedy | None]] = {
    "out_of_memory": _less_memory,
    # By the system, mostly for want of memory.
    "killed": _less_memory,
    # The ledger that models and runs share had no room for it.
    "no_memory": _less_memory,
    "loss_not_finite": _steadier,
    "disk_full": _less_disk,
}
