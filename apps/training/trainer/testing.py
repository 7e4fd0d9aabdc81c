"""How well a run's result predicts rows that nothing was chosen by: ``mlx_lm.lora --test``.

Measured once the run is through, and kept in its folder, so that a trainer that is killed
behind it does not measure again. mlx-lm passes over the rows behind the last whole batch, and
draws the batches where not all are wanted; here all rows count, and batches are evenly spread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import mlx.nn as nn
import numpy as np
from pydantic import ValidationError

from apps.training.trainer.batches import Item
from apps.training.trainer.checkpoints import write_text
from apps.training.trainer.errors import disk_full
from apps.training.trainer.evaluation import means_of, score_table
from apps.training.trainer.events import Measured
from apps.training.trainer.objectives import Objective
from apps.training.trainer.ranks import World

FILE = "test.json"

Batches = Sequence[tuple[Item, ...]]


class FinalTest:
    def __init__(
        self, run: Path, batches: Batches, objective: Objective, max_seq_length: int, world: World
    ) -> None:
        self._path = run / FILE
        self._batches = batches
        self._objective = objective
        self._limit = max_seq_length
        self._world = world

    def tested(self, model: nn.Module, step: int, is_wanted: Callable[[], bool]) -> Measured | None:
        """What the model, as it is at this step, comes to; the ranks share the batches.

        None where there is nothing to measure, or ``is_wanted`` says no before it is done.
        Raises DiskFull.
        """
        if not self._batches:
            return None
        known = self._kept(step)
        if self._world.decided(known is not None):
            return known
        started = time.perf_counter()
        tables = []
        # Each rank has a batch, then all look whether to go on.
        for first in range(0, len(self._batches), self._world.size):
            if not is_wanted():
                return None
            share = self._batches[first : first + self._world.size]
            tables.append(score_table(model, self._objective, share, self._limit, self._world))
        table = np.concatenate(tables)
        loss, figures = means_of(table, self._objective)
        seconds = time.perf_counter() - started
        found = Measured(step=step, loss=loss, rows=len(table), seconds=seconds, figures=figures)
        self._keep(found)
        return found

    def _kept(self, step: int) -> Measured | None:
        """None where nothing was measured at this step, or it can't be read."""
        try:
            kept = Measured.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return None
        return kept if kept.step == step else None

    def _keep(self, found: Measured) -> None:
        if not self._world.is_first:
            return
        staged = self._path.with_name(f".new.{FILE}")
        try:
            write_text(staged, found.model_dump_json())
            staged.rename(self._path)
        except OSError as error:
            raise disk_full(error) from error
