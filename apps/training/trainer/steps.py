"""The two computations of a run: a training step, and the losses of validation rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.nn.utils import average_gradients
from mlx.utils import tree_flatten, tree_map

from apps.training.trainer.config import TrainingConfig
from apps.training.trainer.data import Batch

Gradients = Any
Step = Callable[
    [mx.array, mx.array, Gradients | None, bool], tuple[mx.array, mx.array, Gradients, mx.array]
]


def row_losses(model: nn.Module, tokens: mx.array, spans: mx.array) -> tuple[mx.array, mx.array]:
    """Cross entropy of each row's tokens to learn, summed, in nats; and how many they are.

    Unlike mlx-lm's ``default_loss`` the place behind a row's end is not learnt: what
    stands there is padding.
    """
    targets = tokens[:, 1:]
    places = mx.arange(1, tokens.shape[1])
    learnt = mx.logical_and(places >= spans[:, :1], places < spans[:, 1:])
    losses = nn.losses.cross_entropy(model(tokens[:, :-1]), targets).astype(mx.float32)
    return (losses * learnt).sum(axis=1), learnt.sum(axis=1)


def batch_loss(model: nn.Module, tokens: mx.array, spans: mx.array) -> tuple[mx.array, mx.array]:
    """Mean over the tokens to learn, and how many they are."""
    losses, counts = row_losses(model, tokens, spans)
    total = counts.sum()
    return losses.sum() / mx.maximum(total, 1), total


def compiled_step(model: nn.Module, optimizer: optim.Optimizer, config: TrainingConfig) -> Step:
    """A function of tokens, spans, the gradients so far, and whether to update the weights.

    Returns the loss, the tokens learnt, the gradients to go on with, and the update's
    gradient norm, 0 where there was no update.
    """
    loss_and_gradients = nn.value_and_grad(model, batch_loss)
    state = [model.state, optimizer.state, mx.random.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(
        tokens: mx.array, spans: mx.array, sofar: Gradients | None, update: bool
    ) -> tuple[mx.array, mx.array, Gradients, mx.array]:
        (loss, count), gradients = loss_and_gradients(model, tokens, spans)
        if sofar is not None:
            gradients = tree_map(mx.add, gradients, sofar)
        if not update:
            return loss, count, gradients, mx.array(0.0)
        gradients = average_gradients(gradients)
        if config.accumulation > 1:
            gradients = tree_map(lambda gradient: gradient / config.accumulation, gradients)
        norm = _norm(gradients)
        if config.max_grad_norm is not None:
            factor = mx.minimum(config.max_grad_norm / (norm + 1e-6), 1.0)
            gradients = tree_map(lambda gradient: gradient * factor, gradients)
        optimizer.update(model, gradients)
        return loss, count, None, norm

    typed: Step = step
    return typed


def _norm(gradients: Gradients) -> mx.array:
    squares = [
        gradient.astype(mx.float32).square().sum() for _, gradient in tree_flatten(gradients)
    ]
    return mx.sqrt(mx.stack(squares).sum())


def losses_of(model: nn.Module, batch: Batch) -> list[tuple[int, float, int]]:
    """Each row's index in its file, its mean loss, and its tokens to learn."""
    losses, counts = row_losses(model, batch.tokens, batch.spans)
    sums, learnt = np.asarray(losses), np.asarray(counts)
    return [
        (row.index, float(total) / max(int(count), 1), int(count))
        for row, total, count in zip(batch.rows, sums, learnt, strict=True)
    ]
