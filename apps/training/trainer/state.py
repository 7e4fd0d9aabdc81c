"""What training changes: the weights, the optimiser's state, and how far the run is.

A checkpoint holds all three, and the ranks of a run agree on them.
"""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx.utils import tree_flatten, tree_unflatten

from apps.training.trainer.checkpoints import Arrays, Checkpoints
from apps.training.trainer.progress import Progress
from apps.training.trainer.ranks import World
from apps.training.trainer.setup import trainable


class TrainingState:
    def __init__(self, model: nn.Module, optimizer: optim.Optimizer) -> None:
        """``model``: with its trainable parameters, which ``optimizer`` is made ready for."""
        self.model = model
        self.optimizer = optimizer
        self.optimizer.init(model.trainable_parameters())
        self.progress = Progress()

    @property
    def weights(self) -> Arrays:
        """Those that training changes, by name."""
        return trainable(self.model)

    def save(self, checkpoints: Checkpoints) -> bool:
        """False where this step has a checkpoint already. Raises DiskFull."""
        optimizer = dict(tree_flatten(self.optimizer.state))
        return checkpoints.save(self.progress, self.weights, optimizer)

    def restore(self, checkpoints: Checkpoints, world: World) -> None:
        """Be as the newest checkpoint has it, where there is one. Raises CheckpointDamaged.

        Only the first rank reads it: the others need not see the run's folder.
        """
        newest = checkpoints.newest() if world.is_first else None
        if newest is not None:
            self.progress, weights, optimizer = newest
            self.model.load_weights(list(weights.items()), strict=False)
            self.optimizer.state = tree_unflatten(list(optimizer.items()))
        if world.size > 1:
            self._follow_first(world)
        mx.eval(self.model.parameters(), self.optimizer.state)

    def follow_weights(self, world: World) -> None:
        """Have the first rank's weights."""
        self.model.load_weights(list(world.arrays(self.weights).items()), strict=False)

    def _follow_first(self, world: World) -> None:
        progress = world.text(self.progress.model_dump_json())
        self.progress = Progress.model_validate_json(progress)
        self.follow_weights(world)
        optimizer = world.arrays(dict(tree_flatten(self.optimizer.state)))
        self.optimizer.state = tree_unflatten(list(optimizer.items()))
