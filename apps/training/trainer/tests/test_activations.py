"""Checkpointed blocks give the gradients of plain ones, dropout and all."""

from functools import partial

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx_lm.models import llama

from apps.training.trainer.activations import checkpoint_block
from apps.training.trainer.tests.runs import make_run, rows, train


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.dropout = nn.Dropout(0.5)

    def __call__(self, x, mask=None):
        return x + self.dropout(nn.gelu(self.linear(x)))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [Block() for _ in range(3)]

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x, mask=None)
        return x


def test_gradients_are_those_of_the_dropout_that_was_drawn() -> None:
    mx.random.seed(0)
    model, x = Model(), mx.random.normal((4, 8))
    for block in model.layers:
        checkpoint_block(block)
    state = [model.state, mx.random.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def computed():
        return nn.value_and_grad(model, lambda model: model(x).square().sum())(model)

    def loss(weight):
        model.layers[0].linear.weight = weight
        mx.random.seed(5)
        return computed()[0].item()

    weight = mx.array(model.layers[0].linear.weight)
    mx.random.seed(5)
    gradient = computed()[1]["layers"][0]["linear"]["weight"]
    for row, column in [(0, 0), (3, 4), (7, 2)]:
        nudge = mx.zeros_like(weight)
        nudge[row, column] = 0.01
        slope = (loss(weight + nudge) - loss(weight - nudge)) / 0.02
        assert slope == pytest.approx(gradient[row, column].item(), rel=0.02, abs=0.02)


class TestARun:
    def test_computes_blocks_again_and_learns_the_same(self, model, tmp_path, monkeypatch):
        calls = []
        block = llama.TransformerBlock
        compute = block.__call__
        monkeypatch.setattr(
            block, "__call__", lambda *args, **kwargs: calls.append(1) or compute(*args, **kwargs)
        )
        kept, again = (
            self.counted(tmp_path / str(on), model, calls, gradient_checkpointing=on)
            for on in (False, True)
        )
        assert again[0] == 2 * kept[0]
        for name, array in kept[1].items():
            assert mx.allclose(array, again[1][name], rtol=1e-3, atol=1e-6), name

    def counted(self, folder, model, calls, **settings):
        """Of one traced step: blocks computed, and the weights that it leaves."""
        calls.clear()
        settings |= {"valid": [], "train": rows(3), "iters": 1, "optimizer": "sgd"}
        run = make_run(folder, model, lora={"dropout": 0.0}, **settings)
        assert train(run)[-1].reason == "finished"
        return len(calls), mx.load(str(run / "adapter" / "adapters.safetensors"))
