"""A run goes on from another one's adapter, as ``mlx_lm.lora --resume-adapter-file`` does."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import pytest
from mlx_lm.lora import CONFIG_DEFAULTS
from mlx_lm.lora import run as mlx_lm_lora

from apps.training.trainer.events import Ended, Failed
from apps.training.trainer.tests.runs import AsksAfter, make_run, pairs, train

EQUAL_ROWS = [{"text": f"The number {n} is written as {n}, and read as {n}."} for n in range(3, 7)]
"""Of one length, longer than the limit below: a single batch, without a place that is padded."""

LORA = {"rank": 2, "scale": 4.0, "dropout": 0.0}

SETTINGS: dict[str, Any] = {
    "train": EQUAL_ROWS, "valid": EQUAL_ROWS, "batch_size": 4, "max_seq_length": 32, "iters": 6,
    "lora": LORA,
}  # fmt: skip


def weights_of(run: Path) -> Path:
    return run / "adapter" / "adapters.safetensors"


@pytest.fixture(scope="module", params=["lora", "dora"])
def method(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def first(model: Path, method: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights that an earlier run left."""
    run = make_run(tmp_path_factory.mktemp("first") / "run", model, method=method, **SETTINGS)
    train(run)
    return weights_of(run)


def by_mlx_lm(run: Path, model: Path, first: Path, method: str) -> Path:
    """The weights that mlx-lm's own command leaves of a run's settings and data."""
    config = json.loads((run / "config.json").read_text())
    left = run / "theirs"
    same = ("data", "num_layers", "batch_size", "iters", "learning_rate", "max_seq_length")
    arguments = {name: config[name] for name in same} | {
        "model": str(model), "train": True, "fine_tune_type": method, "lora_parameters": LORA,
        "resume_adapter_file": str(first), "adapter_path": str(left), "val_batches": 1,
    }  # fmt: skip
    mlx_lm_lora(SimpleNamespace(**CONFIG_DEFAULTS | arguments))
    return left / "adapters.safetensors"


def test_it_ends_bit_for_bit_where_mlx_lms_own_command_does(
    model: Path, first: Path, method: str, tmp_path: Path, profile: Any
) -> None:
    settings = SETTINGS | {"method": method, "resume_adapter_file": str(first)}
    run = make_run(tmp_path / "run", model, **settings)
    assert train(run)[-1] == Ended(step=6, reason="finished")
    theirs = mx.load(str(by_mlx_lm(run, model, first, method)))
    ours = mx.load(str(weights_of(run)))
    assert isinstance(ours, dict)
    assert isinstance(theirs, dict)
    assert ours.keys() == theirs.keys()
    began = mx.load(str(first))
    assert isinstance(began, dict)
    for name, array in ours.items():
        assert mx.array_equal(array, theirs[name]), name
        assert not mx.array_equal(array, began[name]), name


@pytest.mark.parametrize("looks", [[0], [3, 5]])
def test_it_ends_the_same_however_it_is_interrupted(
    model: Path, first: Path, method: str, tmp_path: Path, looks: list[int]
) -> None:
    settings = {"method": method, "lora": LORA, "resume_adapter_file": str(first)}
    whole = make_run(tmp_path / "whole", model, **settings)
    train(whole)
    run = make_run(tmp_path / "run", model, **settings)
    for each in looks:
        assert train(run, AsksAfter(each))[-1].kind == "ended"
    assert train(run)[-1] == Ended(step=12, reason="finished")
    assert weights_of(run).read_bytes() == weights_of(whole).read_bytes()


def test_preferences_are_compared_with_the_model_as_the_run_begins_with_it(
    model: Path, tmp_path: Path
) -> None:
    liked = {"train": pairs(10), "valid": pairs(5, first=50), "lora": LORA}
    before = make_run(tmp_path / "before", model, objective="dpo", **liked)
    train(before)
    again = {"objective": "dpo", "resume_adapter_file": str(weights_of(before))}
    run = make_run(tmp_path / "run", model, **again, **liked)
    (began, *_) = (event for event in train(run) if event.kind == "evaluated")
    assert began.figures["reward_margin"] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"lora": LORA | {"rank": 3}}, "in the run. Use its rank"),
        ({"num_layers": 1}, "which the run does not train. Use its method, layers and keys"),
        ({"lora": LORA | {"keys": ["mlp.up_proj"]}}, "which the run does not train"),
        ({"method": "full"}, "an adapter is no start for"),
        ({"resume_adapter_file": "/nowhere.safetensors"}, "can't be read"),
    ],
)
def test_an_adapter_of_other_shapes_is_refused(
    model: Path, first: Path, method: str, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    settings = {"method": method, "lora": LORA, "resume_adapter_file": str(first)}
    last = train(make_run(tmp_path / "run", model, **settings | changes))[-1]
    assert isinstance(last, Failed)
    assert last.fault == "bad_config"
    assert told in last.message


def test_an_adapter_without_some_of_the_layers_is_refused(model: Path, tmp_path: Path) -> None:
    few = make_run(tmp_path / "few", model, num_layers=1, lora=LORA)
    train(few)
    run = make_run(tmp_path / "run", model, lora=LORA, resume_adapter_file=str(weights_of(few)))
    last = train(run)[-1]
    assert isinstance(last, Failed)
    assert "has no weights of model.layers.0" in last.message


def test_a_file_that_holds_no_weights_is_refused(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "adapters.safetensors"
    file.write_bytes(b"\x80\x04torn")
    last = train(make_run(tmp_path / "run", model, resume_adapter_file=str(file)))[-1]
    assert isinstance(last, Failed)
    assert last.fault == "bad_config"
