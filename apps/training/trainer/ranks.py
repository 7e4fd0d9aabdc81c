"""The processes that train together, one on each machine; mostly there is one alone.

Each computes its share of every batch, and gradients are averaged. The first rank decides,
reads checkpoints and writes; what it decides the others follow. Back ends are MLX's own:
https://ml-explore.github.io/mlx/build/html/usage/distributed.html
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from typing import TypeVar

import mlx.core as mx
import numpy as np

from apps.training.trainer.checkpoints import Arrays
from apps.training.trainer.errors import RankLost

logger = logging.getLogger(__name__)

LOST_STATUS = 75
"""Exit status of a rank that waited in vain for another."""

Thing = TypeVar("Thing")


class World:
    """All ranks of a run. Every rank has to make the same calls in the same order."""

    def __init__(self, size: int = 1, patience: float | None = None) -> None:
        """Meets the other ranks that ``mlx.launch`` started, ``size`` with this one.

        ``patience``: seconds between two beats after which this process ends; None: never.
        Raises RankLost where the others can't be reached.
        """
        self._beaten = time.monotonic()
        if patience is not None:
            watch = threading.Thread(target=self._watch, args=(patience,), daemon=True)
            watch.start()
        try:
            self.group = mx.distributed.init()
        except RuntimeError as error:
            raise RankLost(f"The machines of the run can't reach each other ({error}).") from error
        if self.group.size() != size:
            raise RankLost(
                f"{size} machines were to train together, and {self.group.size()} came. Look in "
                "the run's log."
            )
        self.rank = self.group.rank()
        self.size = size

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def beat(self) -> None:
        """Say that this rank goes on."""
        self._beaten = time.monotonic()

    def _watch(self, patience: float) -> None:
        """A rank that waits for one that is gone or stuck waits in MLX, where nothing ends it."""
        while (left := self._beaten + patience - time.monotonic()) > 0:
            time.sleep(left)
        logger.error("no step for %.0f s: another machine is gone or stuck", patience)
        os._exit(LOST_STATUS)

    def share(self, things: Sequence[Thing]) -> Sequence[Thing]:
        """Those that this rank is to work on."""
        return things[self.rank :: self.size]

    def told(
        self, loss: mx.array, tokens: mx.array, figures: mx.array
    ) -> tuple[mx.array, mx.array, mx.array]:
        """Of a whole batch: the mean of the ranks' losses and figures, and all of their tokens."""
        if self.size == 1:
            return loss, tokens, figures
        ours = mx.concatenate([loss[None], figures, tokens[None].astype(mx.float32)])
        sums = mx.distributed.all_sum(ours, group=self.group)
        return sums[0] / self.size, sums[-1], sums[1:-1] / self.size

    def total(self, values: np.ndarray) -> np.ndarray:
        """The ranks' sum, float32."""
        if self.size == 1:
            return values
        return np.asarray(mx.distributed.all_sum(mx.array(values), group=self.group))

    def decided(self, choice: int) -> int:
        """What the first rank chose."""
        return int(self.total(np.array([choice if self.is_first else 0], np.int32))[0])

    def text(self, text: str) -> str:
        """The first rank's."""
        if self.size == 1:
            return text
        ours = np.frombuffer(text.encode(), np.uint8).astype(np.int32)
        whole = np.zeros(self.decided(len(ours)), np.int32)
        if self.is_first:
            whole[:] = ours
        return self.total(whole).astype(np.uint8).tobytes().decode()

    def arrays(self, arrays: Arrays) -> Arrays:
        """The first rank's; ``arrays`` have the same names and shapes on every rank."""
        if self.size == 1:
            return arrays
        shared: Arrays = {}
        # One by one and by name: the ranks' dictionaries need not have the same order.
        for name, array in sorted(arrays.items()):
            ours = array if self.is_first else mx.zeros_like(array)
            shared[name] = mx.distributed.all_sum(ours, group=self.group)
            mx.eval(shared[name])
        return shared
