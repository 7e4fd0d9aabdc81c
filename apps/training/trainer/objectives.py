"""What a run makes smaller: the loss of a batch, from what the model says of its rows.

    sft   cross entropy of the tokens to learn
    dpo   Rafailov et al. 2023, https://arxiv.org/abs/2305.18290, and two other losses of
          the same log-ratios: hinge (Zhao et al. 2023, https://arxiv.org/abs/2305.10425)
          and ipo (Azar et al. 2023, https://arxiv.org/abs/2310.12036, equation 17)
    orpo  Hong et al. 2024, https://arxiv.org/abs/2403.07691

An item is a row, or of preference data a pair of rows: the chosen answers of a batch come
first, the rejected ones behind them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import mlx.core as mx
import mlx.nn as nn

from apps.training.trainer.config import PreferenceLoss, TrainingConfig

REWARDS = ("chosen_reward", "rejected_reward", "reward_margin", "reward_accuracy")
"""What is told of pairs: means of both rewards and their difference, and the share of pairs
whose chosen answer has the higher one."""

_NEVER_CERTAIN = -1e-6
"""Log-probability that a whole answer's mean token is not taken above: the odds are infinite at 0."""


class Inputs(NamedTuple):
    """A batch as arrays."""

    tokens: mx.array
    """Shape (rows, width), int32, padded with zeros."""
    spans: mx.array
    """Shape (rows, 2): the first token to learn, and the end of each row."""
    reference: mx.array
    """Shape (rows,): log-probability of each answer by the model as it was before the run;
    zeros where the objective needs none."""
    weight: mx.array
    """What the losses' sum is divided by: the weights of the batch's items, of which each of
    several machines has its share."""


class Scores(NamedTuple):
    """Of a batch's items."""

    losses: mx.array
    """Shape (items,), float32; sums over what their weights count."""
    weights: mx.array
    """Shape (items,): tokens to learn, or 1 of each pair."""
    tokens: mx.array
    """Tokens to learn, all together."""
    figures: mx.array
    """Shape (items, names of the objective's figures)."""


@dataclass(frozen=True)
class Objective:
    score: Callable[[nn.Module, Inputs], Scores]
    pairs: bool = False
    """Whether it learns from pairs of answers."""
    has_reference: bool = False
    """Whether it compares with the model as it was before the run."""
    figures: tuple[str, ...] = ()
    """Names of what is told beside the loss."""


def objective_of(config: TrainingConfig) -> Objective:
    """What the configuration asks for."""
    match config.objective:
        case "dpo":
            return Objective(_dpo(config), pairs=True, has_reference=True, figures=REWARDS)
        case "orpo":
            return Objective(_orpo(config), pairs=True, figures=REWARDS)
        case _:
            return Objective(score_rows)


def row_losses(model: nn.Module, tokens: mx.array, spans: mx.array) -> tuple[mx.array, mx.array]:
    """Cross entropy of each row's tokens to learn, summed, in nats; and how many they are.

    Unlike mlx-lm's ``default_loss`` the place behind a row's end is not learnt: what
    stands there is padding.
    """
    return _row_losses(model(tokens[:, :-1]), tokens, spans)


def score_rows(model: nn.Module, inputs: Inputs) -> Scores:
    """Every token to learn counts alike."""
    losses, counts = row_losses(model, inputs.tokens, inputs.spans)
    return Scores(losses, counts, counts.sum(), mx.zeros((len(losses), 0)))


def log_probabilities(model: nn.Module, inputs: Inputs) -> tuple[mx.array, mx.array]:
    """Of each row's answer, shape (rows,), in nats; and how many tokens it has."""
    # The differences of whole answers are told apart: half precision would drown them.
    logits = model(inputs.tokens[:, :-1]).astype(mx.float32)
    losses, counts = _row_losses(logits, inputs.tokens, inputs.spans)
    return -losses, counts


def dpo_losses(margins: mx.array, beta: float, kind: PreferenceLoss) -> mx.array:
    """Of each pair, by how much more its chosen answer's log-probability grew than the other's.

    ``margins``: the difference of both log-ratios of model and reference, in nats.
    """
    if kind == "hinge":
        return mx.maximum(1 - beta * margins, 0)
    if kind == "ipo":
        return (margins - 1 / (2 * beta)).square()
    return _log_loss(beta * margins)


def orpo_losses(chosen: mx.array, rejected: mx.array, beta: float) -> mx.array:
    """Of each pair, by the mean log-probability of a token of both answers.

    The chosen answer's cross entropy, and ``beta`` times the odds ratio's loss.
    """
    odds = _log_odds(chosen) - _log_odds(rejected)
    return beta * _log_loss(odds) - chosen


def _dpo(config: TrainingConfig) -> Callable[[nn.Module, Inputs], Scores]:
    def score(model: nn.Module, inputs: Inputs) -> Scores:
        answers, counts = log_probabilities(model, inputs)
        chosen, rejected = mx.split(answers - inputs.reference, 2)
        losses = dpo_losses(chosen - rejected, config.beta, config.preference_loss)
        return _of_pairs(losses, config.beta * chosen, config.beta * rejected, counts)

    return score


def _orpo(config: TrainingConfig) -> Callable[[nn.Module, Inputs], Scores]:
    def score(model: nn.Module, inputs: Inputs) -> Scores:
        answers, counts = log_probabilities(model, inputs)
        chosen, rejected = mx.split(answers / mx.maximum(counts, 1), 2)
        losses = orpo_losses(chosen, rejected, config.beta)
        return _of_pairs(losses, config.beta * chosen, config.beta * rejected, counts)

    return score


def _of_pairs(losses: mx.array, chosen: mx.array, rejected: mx.array, counts: mx.array) -> Scores:
    """``chosen``, ``rejected``: rewards."""
    counts = counts.reshape(2, -1).sum(axis=0)
    # A pair without tokens is there to fill a batch.
    weights = (counts > 0).astype(mx.float32)
    better = (chosen > rejected).astype(mx.float32)
    figures = mx.stack([chosen, rejected, chosen - rejected, better], axis=1)
    return Scores(losses * weights, weights, counts.sum(), figures * weights[:, None])


def _row_losses(logits: mx.array, tokens: mx.array, spans: mx.array) -> tuple[mx.array, mx.array]:
    places = mx.arange(1, tokens.shape[1])
    learnt = mx.logical_and(places >= spans[:, :1], places < spans[:, 1:])
    losses = nn.losses.cross_entropy(logits, tokens[:, 1:]).astype(mx.float32)
    return (losses * learnt).sum(axis=1), learnt.sum(axis=1)


def _log_loss(x: mx.array) -> mx.array:
    """-log(sigmoid(x))."""
    return mx.logaddexp(0, -x)


def _log_odds(log_probability: mx.array) -> mx.array:
    """log(p / (1 - p))."""
    known = mx.minimum(log_probability, _NEVER_CERTAIN)
    return known - mx.log(-mx.expm1(known))
