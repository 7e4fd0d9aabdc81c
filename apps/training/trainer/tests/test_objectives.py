"""The losses as they were published, against NumPy and by hand."""

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.training.trainer.batches import Pair, Row, as_batch
from apps.training.trainer.config import parse_config
from apps.training.trainer.objectives import REWARDS, dpo_losses, objective_of, orpo_losses

LOG_2 = 0.6931472


def sigmoid_loss(x):
    return np.logaddexp(0, -x)


class TestByHand:
    def test_dpo_of_a_model_that_is_its_reference_is_log_2(self):
        assert dpo_losses(mx.array([0.0]), 0.1, "sigmoid").item() == pytest.approx(LOG_2)

    def test_dpo_of_a_margin_of_10_nats(self):
        # -log(1 / (1 + exp(-0.1 * 10))) = log(1 + 1/e)
        assert dpo_losses(mx.array([10.0]), 0.1, "sigmoid").item() == pytest.approx(0.3132617)

    def test_hinge_is_0_once_the_margin_is_wide_enough(self):
        losses = dpo_losses(mx.array([0.0, 5.0, 10.0, 20.0]), 0.1, "hinge")
        assert losses.tolist() == pytest.approx([1.0, 0.5, 0.0, 0.0])

    def test_ipo_wants_a_margin_of_1_over_2_beta(self):
        losses = dpo_losses(mx.array([5.0, 3.0, 7.0]), 0.1, "ipo")
        assert losses.tolist() == pytest.approx([0.0, 4.0, 4.0])

    def test_orpo_of_even_odds(self):
        # Both answers' mean token has probability 1/2: log 2 + 0.1 * log 2.
        half = mx.array([-LOG_2])
        assert orpo_losses(half, half, 0.1).item() == pytest.approx(1.1 * LOG_2)

    def test_orpo_of_odds_3_to_1_and_1_to_3(self):
        # p = 3/4 and 1/4: odds ratio 9, -log(9 / 10) = 0.1053605.
        chosen, rejected = mx.array([np.log(0.75)]), mx.array([np.log(0.25)])
        expected = -np.log(0.75) + 0.5 * 0.1053605
        assert orpo_losses(chosen, rejected, 0.5).item() == pytest.approx(expected, rel=1e-5)

    def test_orpo_of_a_model_that_is_certain_is_a_number_with_a_gradient(self):
        certain, never = mx.array([0.0]), mx.array([-1e9])
        slope = mx.grad(lambda x: orpo_losses(x, never, 0.1).sum())
        assert np.isfinite(orpo_losses(certain, never, 0.1).item())
        assert np.isfinite(slope(certain).item())


numbers = st.floats(-50, -0.015625)


@given(chosen=numbers, rejected=numbers, beta=st.floats(0.015625, 2))
def test_losses_are_those_of_a_plain_reference(chosen, rejected, beta):
    margin = chosen - rejected
    expected = {
        "sigmoid": sigmoid_loss(beta * margin),
        "hinge": max(0.0, 1 - beta * margin),
        "ipo": (margin - 0.5 / beta) ** 2,
    }
    for kind, loss in expected.items():
        found = dpo_losses(mx.array([margin]), beta, kind).item()
        assert found == pytest.approx(loss, rel=1e-4, abs=1e-5)
    odds = (chosen - np.log1p(-np.exp(chosen))) - (rejected - np.log1p(-np.exp(rejected)))
    found = orpo_losses(mx.array([chosen]), mx.array([rejected]), beta).item()
    assert found == pytest.approx(-chosen + beta * sigmoid_loss(odds), rel=1e-4, abs=1e-4)


@pytest.fixture
def batch():
    """Two pairs with unlike prompts, lengths and references."""
    draw = np.random.default_rng(1)

    def row(length, offset):
        return Row(draw.integers(0, 256, length).astype(np.int32), offset, 0)

    items = (
        Pair(row(20, 5), row(12, 5), 0, reference=(-70.0, -35.0)),
        Pair(row(9, 0), row(33, 4), 1, reference=(-40.0, -150.0)),
    )
    return as_batch(items, 64)


def log_probability(model, row):
    """Of a row alone, without padding: its learnt tokens' sum, and how many they are."""
    logits = np.array(model(mx.array(row.tokens)[None])[0]).astype(np.float64)
    logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    places = range(max(row.offset, 1), len(row.tokens))
    return sum(logs[at - 1, row.tokens[at]] for at in places), len(places)


def expected_rewards(model, items, config):
    for item in items:
        scores = []
        for row, reference in zip((item.chosen, item.rejected), item.reference, strict=True):
            total, count = log_probability(model, row)
            scores.append(total - reference if config.objective == "dpo" else total / count)
        yield scores


@pytest.mark.parametrize("objective", ["dpo", "orpo"])
def test_a_padded_batch_has_the_scores_of_its_rows_alone(loaded, batch, objective):
    config = parse_config({"model": "", "data": "", "objective": objective, "beta": 0.2})
    scores = objective_of(config).score(loaded.model, batch.inputs)
    for i, (chosen, rejected) in enumerate(expected_rewards(loaded.model, batch.items, config)):
        loss = (
            sigmoid_loss(0.2 * (chosen - rejected))
            if objective == "dpo"
            else orpo_losses(mx.array([chosen]), mx.array([rejected]), 0.2).item()
        )
        assert scores.losses[i].item() == pytest.approx(loss, rel=1e-3, abs=1e-4)
        figures = dict(zip(REWARDS, scores.figures[i].tolist(), strict=True))
        assert figures["chosen_reward"] == pytest.approx(0.2 * chosen, rel=1e-3)
        assert figures["rejected_reward"] == pytest.approx(0.2 * rejected, rel=1e-3)
        assert figures["reward_margin"] == pytest.approx(0.2 * (chosen - rejected), rel=1e-3)
        assert figures["reward_accuracy"] == float(chosen > rejected)
    assert int(scores.tokens) == 15 + 7 + 8 + 29
