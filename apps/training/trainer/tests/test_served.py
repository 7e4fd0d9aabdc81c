"""What a run leaves is served as mlx-lm itself applies it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx_lm.tuner.utils import load_adapters

from apps.inference.engine.adapters.bank import AdapterBank
from apps.inference.engine.adapters.tests.tiny_adapters import spec_of
from apps.models.runtime import loading
from apps.training.trainer.tests.runs import make_run, pairs, train

TOLERANCE = 1e-4
"""Largest difference of a logit, relative to the largest: sums go in another order."""


@pytest.mark.parametrize(
    "kind",
    [{"method": "dora"}, {"method": "dora", "objective": "dpo", "train": pairs(10), "valid": []}],
)
def test_a_dora_adapter_answers_as_mlx_lm_has_it(
    model: Path, tmp_path: Path, profile: Any, kind: dict[str, Any]
) -> None:
    run = make_run(tmp_path / "run", model, **kind)
    train(run)
    folder = run / "adapter"
    spec = spec_of(folder)
    base, alone = (loading.load(model, profile) for _ in range(2))
    theirs = load_adapters(alone.model, str(folder))
    theirs.eval()
    bank = AdapterBank(base.model)
    bank.ensure(spec)
    prompt = mx.array([alone.tokenizer.encode("Number 7?")])
    plain = base.model(prompt)
    bank.use([spec.digest])
    ours, expected = base.model(prompt), theirs(prompt)
    assert mx.abs(ours - expected).max() <= TOLERANCE * mx.abs(expected).max()
    assert mx.abs(plain - expected).max() > 10 * TOLERANCE * mx.abs(expected).max()
