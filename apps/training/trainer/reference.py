"""What the model as it was before the run says of each answer, which dpo compares with.

Computed once, before the first step, from the model that the run begins with: there is no
second copy of the weights, and a step costs what it costs without a reference. Kept in the
run's folder, so that a run that goes on need not compute it again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from apps.training.trainer.batches import Course, Item, Pair, Splits, TokenRows, as_batch, spread
from apps.training.trainer.checkpoints import save_arrays
from apps.training.trainer.config import TrainingConfig
from apps.training.trainer.control import Control, Wish
from apps.training.trainer.errors import disk_full
from apps.training.trainer.objectives import log_probabilities
from apps.training.trainer.ranks import World

logger = logging.getLogger(__name__)

FILE = "reference.safetensors"

Batches = Sequence[tuple[Item, ...]]


@dataclass(frozen=True)
class Reference:
    """Tables of log-probabilities by line of a split: shape (lines, 2), 0 where it is not known."""

    run: Path
    config: TrainingConfig
    model: nn.Module
    """As the run begins with it, without what it learnt."""
    world: World
    control: Control

    def added(self, splits: Splits) -> Splits:
        """The splits with the reference in all pairs that the run comes to.

        Incomplete where somebody wants the run to end. Raises DiskFull.
        """
        config = self.config
        wanted = {
            "train": Course(splits.train, config.batch_size, config.seed).used(config.iters),
            "valid": spread(splits.valid.batches(config.batch_size), config.val_batches),
            "test": spread(splits.test.batches(config.batch_size), config.test_batches),
        }
        before = _load(self.run / FILE) if self.world.is_first else {}
        after = {name: self._table(batches, before.get(name)) for name, batches in wanted.items()}
        self._save(after)
        return Splits(*(_filled(split, after[name]) for name, split in splits._asdict().items()))

    def _table(self, batches: Batches, before: np.ndarray | None) -> np.ndarray:
        lines = 1 + max((item.index for batch in batches for item in batch), default=-1)
        empty = np.zeros((lines, 2), np.float32)
        table = self.world.total(
            before if before is not None and before.shape == empty.shape else empty
        )
        missing = [batch for batch in batches if not all(table[_lines(batch), 0])]
        self.model.eval()
        ours = np.zeros_like(table)
        for batch in self.world.share(missing):
            if self.world.is_first and self.control.look() is not Wish.GO_ON:
                break
            found, _ = log_probabilities(
                self.model, as_batch(batch, self.config.max_seq_length).inputs
            )
            ours[_lines(batch)] = np.asarray(found).reshape(2, -1).T
            self.world.beat()
        self.model.train()
        # What was found before is not found again, so that a resumed run has the very same.
        return np.where(table, table, self.world.total(ours))

    def _save(self, tables: dict[str, np.ndarray]) -> None:
        if not self.world.is_first:
            return
        staged = self.run / f".new.{FILE}"
        try:
            save_arrays(staged, {name: mx.array(table) for name, table in tables.items()})
            staged.rename(self.run / FILE)
        except OSError as error:
            raise disk_full(error) from error


def _lines(batch: tuple[Item, ...]) -> list[int]:
    return [item.index for item in batch]


def _filled(split: TokenRows, table: np.ndarray) -> TokenRows:
    def fill(item: Item) -> Item:
        if isinstance(item, Pair) and item.index < len(table):
            chosen, rejected = table[item.index]
            return replace(item, reference=(float(chosen), float(rejected)))
        return item

    return TokenRows(
        [fill(item) for item in split.items], truncated=split.truncated, dropped=split.dropped
    )


def _load(path: Path) -> dict[str, np.ndarray]:
    """Nothing where there is no such file, or none that can be read: it is computed again."""
    if not path.exists():
        return {}
    try:
        loaded = mx.load(str(path))
    except RuntimeError:
        logger.exception("the reference can't be read; it is computed again")
        return {}
    assert isinstance(loaded, dict)
    return {name: np.asarray(array) for name, array in loaded.items()}
