"""What a run learns, tells and refuses."""

import math

import pytest

from apps.models.runtime import loading
from apps.training.trainer import checkpoints
from apps.training.trainer.config import parse_config
from apps.training.trainer.errors import BadConfig
from apps.training.trainer.events import Ended
from apps.training.trainer.objectives import score_rows
from apps.training.trainer.tests.runs import AsksAfter, make_run, pairs, rows, train

PAIRS = {"train": pairs(10), "valid": pairs(5, first=50)}


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

    def test_answers_its_prompts_without_validation_rows(self, model, tmp_path):
        run = make_run(tmp_path / "run", model, valid=[], prompts=["Number 3?"], prompt_tokens=4)
        told = train(run)
        assert [event.step for event in of_kind(told, "sampled")] == [0, 4, 8, 12]
        assert not of_kind(told, "evaluated")

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

    @pytest.mark.parametrize("optimizer", ["adam", "adamw", "muon", "sgd", "adafactor"])
    def test_trains_with_every_optimizer_of_mlx_lm(self, model, tmp_path, optimizer):
        run = make_run(tmp_path / "run", model, optimizer=optimizer, iters=2, valid=[])
        first, last = (event for event in train(run) if event.kind in ("started", "ended"))
        assert (first.step, last.reason) == (0, "finished")

    def test_trains_over_a_quantised_base(self, model, profile, tmp_path):
        from mlx_lm.utils import quantize_model, save

        from apps.models.runtime.adapters import read_adapter

        loaded = loading.load(model, profile)
        quantised, config = quantize_model(loaded.model, dict(loaded.config), 32, 4)
        save(tmp_path / "base", model, quantised, loaded.tokenizer, config)
        run = make_run(tmp_path / "run", model, base=str(tmp_path / "base"))
        first, *_, last = of_kind(train(run), "evaluated")
        assert last.loss < first.loss
        read_adapter(run / "adapter").require_base(tmp_path / "base")


class TestARunOfPairs:
    def test_by_dpo_begins_even_and_learns_what_is_preferred(self, model, tmp_path):
        run = make_run(tmp_path / "run", model, objective="dpo", iters=40, **PAIRS)
        told = train(run)
        first, *_, last = of_kind(told, "evaluated")
        assert first.loss == pytest.approx(math.log(2), rel=1e-4)
        assert first.figures["reward_margin"] == pytest.approx(0, abs=1e-4)
        assert last.figures["reward_accuracy"] == 1
        assert last.loss < first.loss / 2
        trained = of_kind(told, "trained")[-1]
        assert trained.figures.keys() == last.figures.keys()
        assert trained.figures["reward_margin"] == pytest.approx(
            trained.figures["chosen_reward"] - trained.figures["rejected_reward"], rel=1e-4
        )

    def test_by_orpo_learns_what_is_preferred(self, model, tmp_path):
        run = make_run(tmp_path / "run", model, objective="orpo", iters=40, **PAIRS)
        first, *_, last = of_kind(train(run), "evaluated")
        assert last.figures["reward_accuracy"] == 1
        assert last.figures["chosen_reward"] > first.figures["chosen_reward"]
        assert not (run / "reference.safetensors").exists()

    def test_computes_its_reference_once(self, model, tmp_path, monkeypatch):
        run = make_run(tmp_path / "run", model, objective="dpo", **PAIRS)
        train(run, AsksAfter(9))
        kept = (run / "reference.safetensors").read_bytes()
        monkeypatch.setattr("apps.training.trainer.reference.log_probabilities", None)
        assert train(run)[-1].reason == "finished"
        assert (run / "reference.safetensors").read_bytes() == kept

    def test_computes_a_damaged_reference_again(self, model, tmp_path):
        run = make_run(tmp_path / "run", model, objective="dpo", **PAIRS)
        train(run, AsksAfter(9))
        kept = (run / "reference.safetensors").read_bytes()
        (run / "reference.safetensors").write_bytes(b"torn")
        assert train(run)[-1].reason == "finished"
        assert (run / "reference.safetensors").read_bytes() == kept

    def test_stops_while_its_reference_is_computed_and_goes_on(self, model, tmp_path):
        run = make_run(tmp_path / "run", model, objective="dpo", **PAIRS)
        assert train(run, AsksAfter(2))[-1] == Ended(step=0, reason="stopped")
        assert train(run)[-1].reason == "finished"


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
            ({"lora": {"keys": ["oops"]}}, "bad_config", "There are: mlp.down_proj, "),
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
        def exploded(model, inputs):
            scores = score_rows(model, inputs)
            return scores._replace(losses=scores.losses * math.inf)

        monkeypatch.setattr("apps.training.trainer.objectives.score_rows", exploded)
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


def test_every_problem_of_the_settings_is_named_at_once():
    with pytest.raises(BadConfig, match=r"batch_size.*iters"):
        parse_config({"model": "m", "data": "d", "batch_size": 0, "iters": 0})
