"""What a run learns, tells and refuses."""

import json
import math

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.tuner.trainer import default_loss

from apps.models.runtime import loading
from apps.training.trainer import checkpoints
from apps.training.trainer.config import parse_config
from apps.training.trainer.data import Course, TokenRows, as_batch, read_rows, spread
from apps.training.trainer.errors import BadConfig
from apps.training.trainer.steps import batch_loss
from apps.training.trainer.tests.runs import make_run, rows, train


@pytest.fixture(scope="module")
def loaded(model, profile):
    return loading.load(model, profile)


@pytest.fixture(scope="module")
def profile():
    from apps.models.runtime import accelerator

    return accelerator.prepare()


def of_kind(events, kind):
    return [event for event in events if event.kind == kind]


class TestARun:
    def test_learns_what_its_rows_say(self, model, tmp_path):
        run = make_run(
            tmp_path / "run",
            model,
            iters=60,
            steps_per_eval=60,
            mask_prompt=True,
            learning_rate=0.003,
        )
        first, last = of_kind(train(run), "evaluated")
        assert last.loss < first.loss / 2

    def test_tells_what_it_does(self, model, tmp_path):
        run = make_run(tmp_path / "run", model, prompts=["Number 3?"], prompt_tokens=4)
        events = train(run)
        assert [event.kind for event in events][:3] == ["started", "evaluated", "sampled"]
        assert events[0].rows == 10
        assert [event.step for event in of_kind(events, "trained")] == [3, 6, 9, 12]
        assert [event.step for event in of_kind(events, "evaluated")] == [0, 4, 8, 12]
        assert all(event.gradient_norm > 0 for event in of_kind(events, "trained"))
        evaluated = of_kind(events, "evaluated")[-1]
        assert evaluated.best_rows[0].loss <= evaluated.worst_rows[0].loss
        assert events[-1].reason == "finished"

    def test_ends_early_where_validation_gets_no_better(self, model, tmp_path):
        run = make_run(
            tmp_path / "run", model, iters=100, steps_per_eval=2, patience=2, learning_rate=1e-12
        )
        assert train(run)[-1].reason == "early_stopping"

    def test_keeps_no_more_checkpoints_than_asked_for(self, model, tmp_path):
        run = make_run(tmp_path / "run", model, keep_checkpoints=1)
        train(run)
        assert [path.name for path in (run / "checkpoints").iterdir()] == ["0000012"]

    def test_trains_without_validation_rows(self, model, tmp_path):
        events = train(make_run(tmp_path / "run", model, valid=[]))
        assert not of_kind(events, "evaluated")
        assert events[-1].reason == "finished"

    def test_trains_on_a_single_row(self, model, tmp_path):
        assert train(make_run(tmp_path / "run", model, train=rows(1)))[-1].reason == "finished"

    def test_its_adapter_is_what_the_registry_reads(self, model, tmp_path):
        from apps.models.runtime.adapters import read_adapter

        run = make_run(tmp_path / "run", model)
        train(run)
        adapter = read_adapter(run / "adapter")
        adapter.require_base(model)
        assert adapter.config.lora_parameters.rank == 2

    def test_in_full_leaves_a_model_that_loads(self, model, profile, tmp_path):
        run = make_run(tmp_path / "run", model, method="full")
        train(run)
        assert loading.load(run / "model", profile).model.layers


class TestARunIsRefused:
    @pytest.mark.parametrize(
        ("settings", "fault", "says"),
        [
            ({"train": []}, "bad_data", "has no rows"),
            ({"train": [{"text": "no"}], "mask_prompt": True}, "bad_data", "can be trained on"),
            ({"train": [{"prompt": 1}]}, "bad_data", "can be trained on"),
            (
                {"train": [*rows(2), {"prompt": "only half"}]},
                "bad_data",
                "Line 3 of train.jsonl",
            ),
            (
                {"max_seq_length": 8, "mask_prompt": True},
                "bad_data",
                "None of the 10 rows",
            ),
            ({"learning_rate": math.nan}, "bad_config", "learning_rate"),
            ({"num_layers": 99}, "bad_config", "has 2 blocks"),
            ({"lora": {"keys": ["self_attn.oops"]}}, "bad_config", "self_attn.oops"),
            ({"base": "/nowhere"}, "bad_config", "nowhere"),
            ({"optimizer_options": {"speed": 1}}, "bad_config", "speed"),
            ({"iters": 2, "accumulation": 4}, "bad_config", "never be updated"),
            ({"wrong": 1}, "bad_config", "wrong"),
        ],
    )
    def test_with_the_reason_named(self, model, tmp_path, settings, fault, says):
        run = make_run(tmp_path / "run", model, **settings)
        last = train(run)[-1]
        assert (last.kind, last.fault) == ("failed", fault)
        assert says in last.message

    def test_where_the_data_is_no_json(self, model, tmp_path):
        run = make_run(tmp_path / "run", model)
        with (run / "data" / "train.jsonl").open("a") as file:
            file.write("{oops\n")
        assert "Line 11 of train.jsonl is no JSON" in train(run)[-1].message


class TestARunFails:
    def test_where_the_loss_is_not_finite(self, model, tmp_path, monkeypatch):
        def exploded(model, tokens, spans):
            loss, count = batch_loss(model, tokens, spans)
            return loss * math.inf, count

        monkeypatch.setattr("apps.training.trainer.steps.batch_loss", exploded)
        last = train(make_run(tmp_path / "run", model))[-1]
        assert last.fault == "loss_not_finite"
        assert "learning rate" in last.message

    def test_where_the_disk_is_full_and_keeps_what_is_there(self, model, tmp_path, monkeypatch):
        run = make_run(tmp_path / "run", model)

        def full(path):
            if "0000006" in str(path) or ".6." in str(path):
                raise OSError(28, "No space left on device")

        monkeypatch.setattr(checkpoints, "sync", full)
        last = train(run)[-1]
        assert last.fault == "disk_full"
        assert sorted(path.name for path in (run / "checkpoints").iterdir()) == [
            "0000002",
            "0000004",
        ]
        monkeypatch.undo()
        assert train(run)[-1].reason == "finished"

    def test_where_memory_runs_out(self, model, tmp_path, monkeypatch):
        def hungry(*args, **kwargs):
            raise RuntimeError("[malloc_or_wait] Unable to allocate 12345678 bytes.")

        monkeypatch.setattr("apps.training.trainer.loop.compiled_step", hungry)
        last = train(make_run(tmp_path / "run", model))[-1]
        assert last.fault == "out_of_memory"


class TestData:
    def test_the_mask_is_that_of_mlx_lm_but_for_the_padding_behind_a_row(self, loaded, tmp_path):
        path = tmp_path / "train.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows(3)))
        split = read_rows(path, loaded.tokenizer, mask_prompt=True, max_seq_length=256)
        batch = as_batch(split.batches(3)[0], 256)
        _, ours = batch_loss(loaded.model, batch.tokens, batch.spans)
        _, theirs = default_loss(loaded.model, batch.tokens, batch.spans)
        assert int(ours) == sum(row.learnt for row in batch.rows)
        assert int(theirs) == int(ours) + len(batch.rows)

    def test_the_loss_is_the_mean_of_the_learnt_tokens(self, loaded, tmp_path):
        path = tmp_path / "train.jsonl"
        path.write_text(json.dumps(rows(1)[0]))
        (row,) = read_rows(path, loaded.tokenizer, mask_prompt=True, max_seq_length=256).batches(1)[
            0
        ]
        batch = as_batch((row,), 256)
        logits = loaded.model(mx.array(row.tokens)[None])[0]
        chosen = np.array(logits - mx.logsumexp(logits, axis=-1, keepdims=True))
        places = range(row.offset, len(row.tokens))
        expected = -np.mean([chosen[at - 1, row.tokens[at]] for at in places])
        loss, _ = batch_loss(loaded.model, batch.tokens, batch.spans)
        assert float(loss) == pytest.approx(expected, rel=1e-5)

    def test_every_epoch_has_every_batch_in_an_order_of_its_own(self, loaded, tmp_path):
        path = tmp_path / "train.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows(20)))
        split = read_rows(path, loaded.tokenizer, mask_prompt=False, max_seq_length=256)
        course = Course(split, 2, seed=1).from_step(0)
        first, second = ([next(course) for _ in range(10)] for _ in range(2))
        assert first != second
        assert sorted(map(indexes, first)) == sorted(map(indexes, second))
        later = Course(split, 2, seed=1).from_step(13)
        assert next(later) == second[3]

    def test_validation_batches_are_spread_over_all_lengths(self):
        assert spread(list(range(10)), 3) == [0, 3, 6]
        assert spread(list(range(10)), -1) == list(range(10))
        assert spread([], 3) == []

    def test_a_missing_file_is_an_empty_split(self, loaded, tmp_path):
        split = read_rows(tmp_path / "no", loaded.tokenizer, mask_prompt=False, max_seq_length=64)
        assert isinstance(split, TokenRows)
        assert len(split) == 0


def indexes(batch):
    return tuple(row.index for row in batch)


def test_every_problem_of_the_settings_is_named_at_once():
    with pytest.raises(BadConfig, match=r"batch_size.*iters"):
        parse_config({"model": "m", "data": "d", "batch_size": 0, "iters": 0})
