"""Settings that suit a model, its data and this machine, for whoever chooses none.

The rate and rank are what LoRA's authors and later practice use for small runs; the
batch, the length and checkpointing are what fits into memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from apps.models.fit import Fit, Machine, training_fit
from apps.models.models import LocalModel
from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.headers import read_config, read_tensors
from apps.models.runtime.memory import TrainingPlan, Weights
from apps.models.runtime.memory.training import Method
from apps.training.errors import BadOrder
from apps.training.material import Material

LENGTH_STEP = 32
"""Batches are as wide as a multiple of this, and one."""

SHORTEST, LONGEST = 64, 2048
EPOCHS = 3
FEWEST_STEPS, MOST_STEPS = 30, 1000


@dataclass(frozen=True)
class Subject:
    """What the fit estimate reads of a model."""

    config: dict[str, Any]
    weights: Weights

    @classmethod
    def of(cls, model: LocalModel) -> Subject:
        """From the headers of its files. Raises BadOrder where they can't be read."""
        folder = Path(model.path)
        try:
            config = read_config(folder)
            return cls(config, Weights.of_tensors(read_tensors(folder), config))
        except (ModelFormatError, OSError) as error:
            raise BadOrder(f"{model.name} can't be read. {error}") from error

    @property
    def blocks(self) -> int:
        count = self.config.get("num_hidden_layers")
        return count if isinstance(count, int) and count > 0 else 16

    def fit(self, settings: dict[str, Any], machine: Machine) -> Fit:
        """Whether a step with these settings goes into memory."""
        return training_fit(self.config, self.weights, machine, self._plan(settings))

    def _plan(self, settings: dict[str, Any]) -> TrainingPlan:
        method = settings.get("method", "lora")
        if method == "lora" and self.weights.quantized:
            method = "qlora"
        return TrainingPlan(
            method=cast("Method", method),
            # Both answers of a pair are rows.
            batch=settings["batch_size"] * (1 if settings.get("objective", "sft") == "sft" else 2),
            length=settings["max_seq_length"],
            rank=settings.get("lora", {}).get("rank", 8),
            layers=settings["num_layers"],
            checkpoint=settings["gradient_checkpointing"],
        )


_RATES = {"sft": 1e-4, "dpo": 2e-5, "orpo": 5e-5}
"""Of adapters; all weights are trained more carefully, and so are preferences."""


def suggest(
    subject: Subject,
    material: Material,
    machine: Machine,
    method: str = "lora",
    objective: str | None = None,
) -> dict[str, Any]:
    """Settings by TrainingConfig's names, the best of those that fit.

    ``objective``: None for what the data is for.
    """
    objective = objective or ("dpo" if material.pairs else "sft")
    options = [each | {"objective": objective} for each in _options(subject, material, method)]
    chosen = next(
        (each for each in options if subject.fit(each, machine).verdict != "too big"), options[-1]
    )
    batch = chosen["batch_size"]
    steps = EPOCHS * -(-material.rows // batch)
    iters = min(max(steps, FEWEST_STEPS), MOST_STEPS)
    return chosen | {
        "iters": iters,
        "learning_rate": _RATES[objective] / (10 if method == "full" else 1),
        "steps_per_report": max(iters // 100, 1),
        "steps_per_eval": max(iters // 10, 1),
        "steps_per_save": max(iters // 10, 1),
        "mask_prompt": False,
    }


def _options(subject: Subject, material: Material, method: str) -> Iterator[dict[str, Any]]:
    """From the fastest to the most frugal."""
    length = _length(subject, material)
    batch = max(min(4, material.rows), 1)
    layers = min(16, subject.blocks)
    full: dict[str, Any] = {
        "method": method,
        "batch_size": batch,
        "max_seq_length": length,
        "num_layers": -1 if method == "full" else layers,
        "gradient_checkpointing": False,
    }
    yield full
    frugal = full | {"gradient_checkpointing": True}
    while True:
        yield frugal
        if frugal["batch_size"] > 1:
            frugal = frugal | {"batch_size": frugal["batch_size"] // 2}
        elif frugal["num_layers"] > 4:
            frugal = frugal | {"num_layers": frugal["num_layers"] // 2}
        elif frugal["max_seq_length"] > 4 * SHORTEST:
            frugal = frugal | {"max_seq_length": frugal["max_seq_length"] // 2}
        else:
            return


def _length(subject: Subject, material: Material) -> int:
    """Enough for nearly every row, and not more than the model reads."""
    wanted = -(-max(material.length_of(0.99), SHORTEST) // LENGTH_STEP) * LENGTH_STEP
    limit = subject.config.get("max_position_embeddings")
    most = min(LONGEST, limit) if isinstance(limit, int) and limit >= 8 else LONGEST
    return min(wanted, most)
