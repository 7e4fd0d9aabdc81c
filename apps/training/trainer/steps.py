"""A training step: loss, gradients and the update, compiled into one computation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx.nn.utils import average_gradients
from mlx.utils import tree_flatten, tree_map

from apps.training.trainer.config import TrainingConfig
from apps.training.trainer.objectives import Inputs, Objective
from apps.training.trainer.ranks import World

Gradients = Any


class Stepped(NamedTuple):
    """What a step found. All but ``gradients`` are the same on every machine of a run."""

    loss: mx.array
    tokens: mx.array
    """Tokens learnt."""
    figures: mx.array
    """Means over the items, by the objective's names."""
    gradients: Gradients | None
    """What waits for the next step; None where the weights were updated."""
    norm: mx.array
    """Of the update's gradient; 0 where there was no update."""


Step = Callable[[Inputs, Gradients | None, bool], Stepped]
"""Takes the batch, the gradients so far, and whether to update the weights."""


def compiled_step(
    model: nn.Module,
    optimizer: optim.Optimizer,
    config: TrainingConfig,
    objective: Objective,
    world: World,
) -> Step:
    """One batch's work, compiled once for each shape of batches."""

    def loss_of(model: nn.Module, inputs: Inputs) -> tuple[mx.array, mx.array, mx.array]:
        scores = objective.score(model, inputs)
        figures = scores.figures.sum(axis=0) / inputs.weight
        return scores.losses.sum() / inputs.weight, scores.tokens, figures

    loss_and_gradients = nn.value_and_grad(model, loss_of)
    state = [model.state, optimizer.state, mx.random.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(
        inputs: Inputs, sofar: Gradients | None, update: bool
    ) -> tuple[mx.array, mx.array, mx.array, Gradients | None, mx.array]:
        (loss, tokens, figures), gradients = loss_and_gradients(model, inputs)
        if sofar is not None:
            gradients = tree_map(mx.add, gradients, sofar)
        told = world.told(loss, tokens, figures)
        if not update:
            return *told, gradients, mx.array(0.0)
        gradients = average_gradients(gradients, world.group)
        if config.accumulation > 1:
            gradients = tree_map(lambda gradient: gradient / config.accumulation, gradients)
        norm = _norm(gradients)
        if config.max_grad_norm is not None:
            factor = mx.minimum(config.max_grad_norm / (norm + 1e-6), 1.0)
            gradients = tree_map(lambda gradient: gradient * factor, gradients)
        optimizer.update(model, gradients)
        return *told, None, norm

    return lambda inputs, sofar, update: Stepped(*step(inputs, sofar, update))


def _norm(gradients: Gradients) -> mx.array:
    squares = [
        gradient.astype(mx.float32).square().sum() for _, gradient in tree_flatten(gradients)
    ]
    return mx.sqrt(mx.stack(squares).sum())
