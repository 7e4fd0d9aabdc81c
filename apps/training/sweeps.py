"""Jobs that differ in a few settings: ordered together, compared, and controlled together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from django.db import transaction

from apps.jobs.models import ACTIVE, RESUMABLE
from apps.models.models import LocalModel
from apps.training import services
from apps.training.errors import BadOrder
from apps.training.material import look
from apps.training.models import Sweep, TrainingJob
from apps.training.orders import completed
from apps.training.services import Place
from apps.training.sources import Source

MOST_RUNS = 20

EPOCHS = "epochs"
"""Times through the data, in place of steps."""

AXES: dict[str, str] = {
    "learning_rate": "Learning rate",
    "lora.rank": "Rank",
    "lora.scale": "Scale",
    "lora.dropout": "Dropout",
    "num_layers": "Layers",
    "batch_size": "Batch size",
    "iters": "Steps",
    EPOCHS: "Epochs",
    "seed": "Seed",
}
"""What can be tried in several values, by dotted names of TrainingConfig; and what it is called."""

Grid = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class SweepOrder:
    """Everything that the runs have in common."""

    base: LocalModel
    source: Source
    name: str
    settings: dict[str, Any]
    """As asked for; what is left out is chosen for each run by itself."""
    place: Place = field(default_factory=Place)


def order_sweep(*, order: SweepOrder, grid: Grid) -> Sweep:
    """Queued jobs, one for each combination of the grid's values. Raises BadOrder.

    Either all are queued or, where one could not work, none.
    """
    runs = combinations(grid)
    with transaction.atomic():
        sweep = Sweep.objects.create(
            name=order.name, grid={name: list(grid[name]) for name in grid}
        )
        for number, values in enumerate(runs, 1):
            _order_one(order, sweep, number, values)
    return sweep


def combinations(grid: Grid) -> list[dict[str, float]]:
    """Every combination of values. Raises BadOrder where there are none, or too many."""
    if unknown := sorted(set(grid) - set(AXES)):
        raise BadOrder(f"{unknown[0]} can't be tried in several values. Try {', '.join(AXES)}.")
    for name, values in grid.items():
        if not all(map(math.isfinite, values)):
            raise BadOrder(f"{AXES[name]}: every value to try has to be a number.")
    if EPOCHS in grid and "iters" in grid:
        raise BadOrder("Steps and epochs say the same thing. Try several values of one of them.")
    found = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    if not grid or not found:
        raise BadOrder("There is nothing to try: name a setting with two values or more.")
    if len(found) > MOST_RUNS:
        raise BadOrder(f"That makes {len(found)} runs, and at most {MOST_RUNS} are one sweep.")
    return found


def words(values: Mapping[str, Any]) -> str:
    """``learning rate 0.0001, rank 8``."""
    return ", ".join(f"{AXES[name].lower()} {value:g}" for name, value in values.items())


def pause_all(*, sweep: Sweep) -> None:
    """Pause what runs or waits."""
    _each(sweep, ACTIVE, services.pause)


def resume_all(*, sweep: Sweep) -> None:
    """Go on with what stands still, in the order of the runs."""
    _each(sweep, RESUMABLE, services.resume)


def cancel_all(*, sweep: Sweep) -> None:
    """Cancel what runs or waits, or was paused."""
    _each(sweep, (*ACTIVE, TrainingJob.State.PAUSED), services.cancel)


def _order_one(order: SweepOrder, sweep: Sweep, number: int, values: dict[str, float]) -> None:
    try:
        asked = _with(order.settings, values)
        if EPOCHS in values:
            asked["iters"] = _steps(order, asked, values[EPOCHS])
        config = completed(base=order.base, data=order.source.folder, settings=asked)
        job = services.order(
            base=order.base,
            data=order.source.folder,
            name=f"{order.name} {number}",
            settings=config.model_dump(mode="json", exclude={"model", "data"}),
            dataset=order.source.version,
            place=order.place,
            sweep=sweep,
        )
    except BadOrder as error:
        raise BadOrder(f"With {words(values)}: {error}") from error
    services.start(job=job)


def _with(settings: dict[str, Any], values: Mapping[str, float]) -> dict[str, Any]:
    """The settings with other values in some places."""
    changed = settings | {"lora": dict(settings.get("lora", {}))}
    for name, value in values.items():
        group, inside, leaf = name.partition(".")
        # 8.0 is no rank.
        value = int(value) if float(value).is_integer() else value
        if inside:
            changed[group][leaf] = value
        elif name != EPOCHS:
            changed[name] = value
    return changed


def _steps(order: SweepOrder, asked: dict[str, Any], epochs: float) -> int:
    """Batches that go so many times through the data."""
    config = completed(base=order.base, data=order.source.folder, settings=asked)
    rows = look(Path(config.data), Path(order.base.path)).rows
    return max(round(epochs * rows / config.batch_size), 1)


def _each(sweep: Sweep, states: Sequence[str], change: Callable[..., object]) -> None:
    for job in sweep.trainings.filter(state__in=states).order_by("pk"):
        change(job=job)
