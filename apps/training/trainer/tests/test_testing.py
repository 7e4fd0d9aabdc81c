"""The result of a run that is through is measured on rows that nothing was chosen by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlx_lm.tuner.datasets import CacheDataset, create_dataset
from mlx_lm.tuner.trainer import evaluate
from mlx_lm.tuner.utils import load_adapters

from apps.models.runtime import loading
from apps.training.trainer.control import Wish
from apps.training.trainer.events import Ended, Event, Failed, Measured
from apps.training.trainer.tests.runs import AsksAfter, events, make_run, pairs, rows, train

HELD_OUT: dict[str, Any] = {"test": True, "held_out": rows(6, first=80)}

MEASURE = "apps.training.trainer.testing.score_table"


def measured(told: list[Event]) -> list[Measured]:
    return [event for event in told if isinstance(event, Measured)]


def test_it_is_what_mlx_lm_measures_of_the_adapter_that_is_left(
    model: Path, tmp_path: Path, profile: Any
) -> None:
    # Rows without padding: of others mlx-lm counts a token more.
    long = [{"text": f"The number {n} is written as {n}, and read as {n}."} for n in range(3, 9)]
    settings = {"train": long, "valid": long, "max_seq_length": 32}
    run = make_run(tmp_path / "run", model, test=True, held_out=long, **settings)
    (found,) = measured(train(run))
    loaded = loading.load(model, profile)
    adapted = load_adapters(loaded.model, str(run / "adapter"))
    dataset = create_dataset(long, loaded.tokenizer, None)
    theirs = evaluate(adapted, CacheDataset(dataset), 3, -1, max_seq_length=32)
    assert found.loss == pytest.approx(theirs, rel=1e-6)
    assert (found.step, found.rows) == (12, 6)


def test_it_is_of_the_best_weights_where_they_are_kept(model: Path, tmp_path: Path) -> None:
    held_out = rows(4, first=50)
    # Each step at this rate makes it worse than the one before.
    worse = {"learning_rate": 0.5, "optimizer": "sgd", "steps_per_eval": 1}
    settings = {"valid": held_out, "val_batches": -1, "keep_best": True, "test": True}
    run = make_run(tmp_path / "run", model, held_out=held_out, **settings, **worse)
    told = train(run)
    (found,) = measured(told)
    losses = [event.loss for event in told if event.kind == "evaluated"]
    assert found.loss == pytest.approx(min(losses), rel=1e-6)
    assert losses[-1] > min(losses)


def test_so_many_batches_are_taken_as_are_asked_for(model: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", model, **HELD_OUT, test_batches=1)
    assert [each.rows for each in measured(train(run))] == [3]


def test_of_pairs_it_tells_their_rewards(model: Path, tmp_path: Path) -> None:
    settings = {"train": pairs(10), "valid": [], "held_out": pairs(4, first=60)}
    run = make_run(tmp_path / "run", model, objective="dpo", test=True, **settings)
    (found,) = measured(train(run))
    assert found.figures["reward_accuracy"] == 1
    assert found.figures["reward_margin"] > 0


def test_a_run_that_does_not_ask_for_it_does_not_read_the_rows(model: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", model, held_out=[{"oops": 1}])
    assert measured(train(run)) == []


def test_a_run_that_asks_for_it_needs_rows(model: Path, tmp_path: Path) -> None:
    last = train(make_run(tmp_path / "run", model, test=True))[-1]
    assert isinstance(last, Failed)
    assert last.message.startswith("test.jsonl has no rows")


def test_it_is_measured_once_however_the_run_dies_behind_it(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "run", model, **HELD_OUT)
    (before,) = measured(train(run))
    monkeypatch.setattr(MEASURE, None)
    again = train(run)
    assert again[-1] == Ended(step=12, reason="finished")
    assert measured(again) == [before, before]


def test_what_is_half_written_is_measured_again(model: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", model, **HELD_OUT)
    (before,) = measured(train(run))
    (run / "test.json").write_text("{")
    assert measured(train(run))[-1].loss == before.loss


@pytest.mark.parametrize(
    ("wish", "reason"),
    [(Wish.STOP, "stopped"), (Wish.CANCEL, "cancelled"), (Wish.ABANDONED, "abandoned")],
)
def test_it_is_broken_off_where_somebody_wants_it_and_made_up_for(
    model: Path, tmp_path: Path, wish: Wish, reason: str
) -> None:
    run = make_run(tmp_path / "run", model, **HELD_OUT)
    # The run looks before each of its 12 steps; then before each batch of the test.
    assert train(run, AsksAfter(13, wish))[-1] == Ended(step=12, reason=reason)
    assert measured(events(run)) == []
    assert train(run)[-1] == Ended(step=12, reason="finished")
    assert len(measured(events(run))) == 1


def test_a_run_that_is_stopped_is_not_measured(model: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", model, **HELD_OUT)
    assert train(run, AsksAfter(3))[-1].kind == "ended"
    assert measured(events(run)) == []
