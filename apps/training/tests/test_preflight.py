"""What is told of a job before it is queued, and what is chosen for it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from apps.models.fit import Machine
from apps.models.models import LocalModel
from apps.training import preflight
from apps.training.errors import BadOrder
from apps.training.material import look
from apps.training.models import Metric
from apps.training.orders import completed
from apps.training.preflight import Preflight, examine
from apps.training.room import Room
from apps.training.suggestions import Subject, suggest
from apps.training.tests.jobs import make_job
from apps.training.tests.test_series import write
from apps.training.trainer.tests.runs import pairs, rows, write_rows

GIB = 1024**3


def examined(base: LocalModel, data: Path, **settings: Any) -> Preflight:
    return examine(base, completed(base=base, data=data, settings=settings))


def room(monkeypatch: pytest.MonkeyPatch, ceiling: int, now: int, idle: tuple[str, ...]) -> None:
    found = Room(Machine("cpu", ceiling), now, idle)
    monkeypatch.setattr(preflight, "this_room", lambda: found)


def texts(found: Preflight) -> str:
    return " ".join(f"{one.level}: {one.text}" for one in found.findings)


def test_a_job_that_fits_has_nothing_to_tell(base: LocalModel, data: Path) -> None:
    found = examined(base, data)
    assert found.fit.verdict == "fits"
    assert found.findings == ()
    assert found.seconds is None


def test_too_little_memory_is_refused_with_settings_that_fit(
    base: LocalModel, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"batch_size": 512, "max_seq_length": 512, "gradient_checkpointing": False}
    needed = examined(base, data, **config).fit.needed_bytes
    room(monkeypatch, needed // 4, needed // 4, ())
    found = examined(base, data, **config)
    assert "refused: It needs about" in texts(found)
    assert found.safer["batch_size"] < 512
    assert examined(base, data, **config | found.safer).refusals == []


def test_no_settings_fit_where_the_model_does_not(
    base: LocalModel, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room(monkeypatch, 1000, 1000, ())
    found = examined(base, data)
    assert "use a smaller or a quantised model" in texts(found)
    assert found.safer == {}


def test_idle_models_are_to_be_unloaded_first(
    base: LocalModel, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room(monkeypatch, GIB, 1000, ("big",))
    found = examined(base, data)
    assert found.in_the_way == ("big",)
    assert "Unload big first" in texts(found)
    assert found.refusals == []


def test_early_stopping_needs_validation_rows(base: LocalModel, data: Path) -> None:
    (data / "valid.jsonl").unlink()
    assert "warning: There are no validation rows" in texts(examined(base, data))
    assert "refused: Early stopping" in texts(examined(base, data, patience=2))


def test_a_full_disk_is_told_before(
    base: LocalModel, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "SPARE_DISK", 2**62)
    found = examined(base, data)
    assert "are free on the disk" in texts(found)


def test_layers_that_the_model_has_not_are_refused_by_name(base: LocalModel, data: Path) -> None:
    lora = {"rank": 4, "keys": ["self_attn.q_proj", "self_attn.wings"]}
    found = examined(base, data, lora=lora)
    assert "no layer called self_attn.wings. There are: mlp." in texts(found)
    assert found.refusals
    assert found.safer["lora"]["keys"] is None
    assert not examined(base, data, lora=lora | {"keys": ["mlp.down_proj"]}).findings


def test_what_is_advised_is_offered_where_nothing_is_refused(base: LocalModel, data: Path) -> None:
    assert examined(base, data, batch_size=32).safer == {"batch_size": 10}


def test_fewer_rows_than_a_batch_are_told(base: LocalModel, data: Path) -> None:
    assert "there are 10 rows" in texts(examined(base, data, batch_size=32))


def test_time_is_told_from_earlier_runs_by_tokens(base: LocalModel, data: Path) -> None:
    facts = {"rows": 10, "tokens": 10 * 40}
    job = make_job(base, step=100, facts=facts)
    write(job, {100: 50.0}, Metric.Name.SECONDS)
    short = examined(base, data, iters=100, batch_size=3)
    long = examined(base, data, iters=200, batch_size=6)
    assert short.seconds is not None
    assert long.seconds == pytest.approx(4 * short.seconds)


def test_rows_that_are_all_too_long_are_refused_with_a_length_that_suits(
    base: LocalModel, data: Path
) -> None:
    found = examined(base, data, max_seq_length=8)
    assert "All rows are longer than 8 tokens" in texts(found)
    assert found.safer == {"max_seq_length": 64}
    assert examined(base, data, **found.safer).refusals == []


class TestAnswersBehindTheLimit:
    @pytest.fixture
    def data(self, data: Path) -> Path:
        write_rows(data / "train.jsonl", [{"prompt": "why " * 40, "completion": "so"}] * 3)
        return data

    def test_are_refused_where_they_alone_are_learnt(self, base: LocalModel, data: Path) -> None:
        found = examined(base, data, max_seq_length=64, mask_prompt=True)
        assert "refused: Every prompt alone has 64 tokens or more" in texts(found)
        assert examined(base, data, **found.safer, mask_prompt=True).refusals == []

    def test_are_learnt_with_their_prompts_where_the_model_reads_no_more(
        self, base: LocalModel, data: Path
    ) -> None:
        write_rows(data / "train.jsonl", [{"prompt": "why " * 400, "completion": "so"}])
        found = examined(base, data, mask_prompt=True)
        assert found.safer == {"mask_prompt": False}
        assert examined(base, data, **found.safer).refusals == []

    def test_are_no_matter_where_the_prompts_are_learnt_too(
        self, base: LocalModel, data: Path
    ) -> None:
        assert "nothing of an answer" not in texts(examined(base, data, max_seq_length=64))

    def test_of_pairs_have_no_remedy_where_the_model_reads_no_more(
        self, base: LocalModel, data: Path
    ) -> None:
        pair = {"prompt": "why " * 400, "chosen": "so", "rejected": "no"}
        write_rows(data / "train.jsonl", [pair])
        found = examined(base, data)
        assert "Shorten the prompts, or choose a model that reads more" in texts(found)


def test_plain_text_has_no_prompt_to_leave_out(base: LocalModel, data: Path) -> None:
    write_rows(data / "train.jsonl", [{"text": "just words"}])
    found = examined(base, data, mask_prompt=True)
    assert "refused: The rows are plain text" in texts(found)
    assert found.safer["mask_prompt"] is False


def test_a_template_that_opens_a_thought_hides_the_start_of_answers(
    base: LocalModel, data: Path, tmp_path: Path
) -> None:
    assert "not learnt" not in texts(examined(base, data, mask_prompt=True))
    thinking = tmp_path / "thinking"
    shutil.copytree(base.path, thinking)
    file = thinking / "tokenizer_config.json"
    file.write_text(
        file.read_text().replace("<|assistant|>{% endif %}", "<|assistant|>Hm{% endif %}")
    )
    LocalModel.objects.filter(pk=base.pk).update(path=thinking)
    base.refresh_from_db()
    found = examined(base, data, mask_prompt=True)
    assert "the first 2 tokens of every answer" in texts(found)
    assert examined(base, data, mask_prompt=False).findings == ()


class TestMoreMachines:
    @pytest.fixture(autouse=True)
    def hosts(self, settings: Settings) -> None:
        hosts = ("192.0.2.1", "192.0.2.2")
        settings.HUB = settings.HUB.model_copy(update={"training_hosts": hosts})

    def test_train_together_unless_somebody_wants_it_otherwise(
        self, base: LocalModel, data: Path
    ) -> None:
        assert completed(base=base, data=data, settings={}).hosts == ("192.0.2.1", "192.0.2.2")
        assert completed(base=base, data=data, settings={"hosts": []}).hosts == ()

    def test_need_a_row_each(self, base: LocalModel, data: Path) -> None:
        assert completed(base=base, data=data, settings={"batch_size": 1}).hosts == ()

    def test_are_those_that_the_hub_knows(self, base: LocalModel, data: Path) -> None:
        with pytest.raises(BadOrder, match=r"198\.51\.100\.7 may not train"):
            completed(base=base, data=data, settings={"hosts": ["198.51.100.7"]})


class TestPairs:
    @pytest.fixture
    def data(self, data: Path) -> Path:
        write_rows(data / "train.jsonl", pairs(10))
        return data

    def test_are_learnt_by_preference_unless_somebody_wants_it_otherwise(
        self, base: LocalModel, data: Path
    ) -> None:
        config = completed(base=base, data=data, settings={})
        assert (config.objective, config.learning_rate) == ("dpo", 2e-5)
        assert examined(base, data).refusals == []
        assert examined(base, data, objective="orpo").refusals == []
        found = examined(base, data, objective="sft")
        assert "The rows are pairs" in texts(found)
        assert found.safer == {"objective": "dpo"}

    def test_need_the_memory_of_two_rows(self, base: LocalModel, data: Path) -> None:
        one = examined(base, data, batch_size=2)
        other = examined(base, data, batch_size=4, objective="sft")
        assert one.fit.needed_bytes == other.fit.needed_bytes

    def test_are_as_long_as_their_longer_answer(self, base: LocalModel, data: Path) -> None:
        long = {"role": "assistant", "content": "x" * 90}
        write_rows(data / "train.jsonl", [{"prompt": "Why?", "chosen": "So.", "rejected": [long]}])
        assert look(data, Path(base.path)).lengths[0] > 90


def test_preferences_need_pairs(base: LocalModel, data: Path) -> None:
    found = examined(base, data, objective="dpo")
    assert "dpo learns from pairs" in texts(found)
    assert found.safer == {"objective": "sft"}


class TestSuggestions:
    def test_suit_the_data(self, base: LocalModel, data: Path) -> None:
        config = completed(base=base, data=data, settings={})
        assert (config.batch_size, config.num_layers, config.max_seq_length) == (4, 2, 64)
        assert (config.iters, config.learning_rate) == (30, 1e-4)

    def test_keep_to_what_the_model_reads(self, base: LocalModel, data: Path) -> None:
        write_rows(data / "train.jsonl", [{"text": "long " * 2000}])
        assert completed(base=base, data=data, settings={}).max_seq_length == 512

    def test_are_more_frugal_the_less_memory_there_is(self, base: LocalModel, data: Path) -> None:
        subject, material = Subject.of(base), look(data, Path(base.path))
        wide = suggest(subject, material, Machine("cpu", 64 * GIB))
        needed = subject.fit(wide, Machine("cpu", 64 * GIB)).needed_bytes
        tight = suggest(subject, material, Machine("cpu", needed * 3 // 4))
        assert not wide["gradient_checkpointing"]
        assert tight["gradient_checkpointing"]

    def test_leave_alone_what_was_asked_for(self, base: LocalModel, data: Path) -> None:
        config = completed(base=base, data=data, settings={"iters": 500, "batch_size": 1})
        assert (config.iters, config.batch_size, config.steps_per_eval) == (500, 1, 50)


class TestMaterial:
    @pytest.mark.parametrize(
        "row",
        [
            {"text": "a few words"},
            {"prompt": "a", "completion": "few words"},
            {"messages": [{"role": "user", "content": "a few"}, {"role": "x", "content": "words"}]},
            {"messages": ["nonsense", {"content": [{"type": "text"}]}]},
        ],
    )
    def test_of_any_kind_is_counted(
        self, base: LocalModel, data: Path, row: dict[str, Any]
    ) -> None:
        write_rows(data / "train.jsonl", [row])
        found = look(data, Path(base.path))
        assert found.rows == 1
        assert 0 < found.lengths[0] < 60

    def test_of_many_rows_is_sampled(self, base: LocalModel, data: Path) -> None:
        write_rows(data / "train.jsonl", rows(5000))
        found = look(data, Path(base.path))
        assert found.rows == 5000
        assert len(found.lengths) <= 210

    def test_without_a_tokenizer_is_guessed(self, tmp_path: Path, data: Path) -> None:
        (data / "train.jsonl").write_text(json.dumps({"text": "x" * 400}) + "\n")
        assert look(data, tmp_path).lengths == (100,)
