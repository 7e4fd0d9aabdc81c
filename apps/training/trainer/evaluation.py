"""How well the validation items are predicted now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

import mlx.nn as nn
import numpy as np

from apps.training.trainer.batches import Item, as_batch
from apps.training.trainer.events import RowLoss
from apps.training.trainer.objectives import Objective
from apps.training.trainer.ranks import World

_SHOWN_ROWS = 3
"""Items told at each end: the best and the worst predicted."""


@dataclass(frozen=True)
class Evaluation:
    loss: float
    """The objective's, over all items."""
    figures: dict[str, float]
    best_rows: tuple[RowLoss, ...]
    worst_rows: tuple[RowLoss, ...]


def evaluate(
    model: nn.Module,
    objective: Objective,
    batches: Sequence[tuple[Item, ...]],
    max_seq_length: int,
    world: World,
) -> Evaluation:
    """Of the model as it is; the ranks share the batches. There has to be one."""
    table = score_table(model, objective, batches, max_seq_length, world)
    indexes = [item.index for batch in batches for item in batch]
    loss, figures = means_of(table, objective)
    means = table[:, 0] / np.maximum(table[:, 1], 1)
    ranked = sorted(
        (
            RowLoss(row=index, loss=mean)
            for index, mean in zip(indexes, means.tolist(), strict=True)
        ),
        key=attrgetter("loss"),
    )
    return Evaluation(
        loss, figures, tuple(ranked[:_SHOWN_ROWS]), tuple(ranked[-_SHOWN_ROWS:][::-1])
    )


def score_table(
    model: nn.Module,
    objective: Objective,
    batches: Sequence[tuple[Item, ...]],
    max_seq_length: int,
    world: World,
) -> np.ndarray:
    """Shape (items of all batches, 2 + the objective's figures): loss, weight and figures of each."""
    indexes = [item.index for batch in batches for item in batch]
    places = {index: place for place, index in enumerate(indexes)}
    table = np.zeros((len(indexes), 2 + len(objective.figures)))
    model.eval()
    for batch in world.share(batches):
        ours = [places[item.index] for item in batch]
        losses, weights, _, figures = objective.score(model, as_batch(batch, max_seq_length).inputs)
        table[ours, 0], table[ours, 1], table[ours, 2:] = map(
            np.asarray, (losses, weights, figures)
        )
        world.beat()
    model.train()
    return world.total(table)


def means_of(table: np.ndarray, objective: Objective) -> tuple[float, dict[str, float]]:
    """The objective's loss over all items, and its figures by name."""
    totals = table.sum(axis=0) / max(table[:, 1].sum(), 1)
    return float(totals[0]), dict(zip(objective.figures, totals[2:].tolist(), strict=True))
