"""A step is timed before a job is ordered, and what it took tells how long the job will take."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.jobs.models import JobState
from apps.models.models import LocalModel
from apps.training.errors import BadOrder
from apps.training.models import StepTiming
from apps.training.orders import completed
from apps.training.picking import picked
from apps.training.preflight import examine
from apps.training.timing import order_timing, run_timing, shape_of
from apps.training.trainer.config import TrainingConfig
from apps.training.trainer.tests.runs import rows, write_rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def woken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """How often the worker, which does not run here, was woken up."""
    calls: list[bool] = []
    monkeypatch.setattr("apps.jobs.tasks.take_turns", lambda: calls.append(True))
    return calls


def config(base: LocalModel, data: Path, **settings: Any) -> TrainingConfig:
    return completed(base=base, data=data, settings=settings)


def taken(base: LocalModel, config: TrainingConfig, seconds: float) -> StepTiming:
    return StepTiming.objects.create(
        base=base,
        data=config.data,
        settings=config.model_dump(mode="json", exclude={"model", "data"}),
        shape=shape_of(config),
        length=40.0,
        seconds=seconds,
        state=JobState.DONE,
    )


def test_steps_are_timed_by_the_trainer_and_nothing_is_left(
    base: LocalModel, data: Path, data_folder: Path
) -> None:
    (data_folder / "runs").rmdir()  # as on a hub that has trained nothing yet
    ordered = order_timing(base=base, config=config(base, data, prompts=["A?"], accumulation=4))
    run_timing(ordered, stops=threading.Event())
    assert (ordered.state, ordered.error) == (JobState.DONE, "")
    assert ordered.seconds is not None
    assert 0 < ordered.seconds < 60
    assert ordered.peak_memory
    assert 10 < ordered.length < 200
    assert list(Path(ordered.data).parent.glob("**/.timing-*")) == []
    found = examine(base, config(base, data))
    assert found.pace is not None
    assert found.pace.source == "measured"


def test_what_the_trainer_refuses_is_told(base: LocalModel, data: Path) -> None:
    ordered = order_timing(base=base, config=config(base, data, lora={"keys": ["wings"]}))
    run_timing(ordered, stops=threading.Event())
    assert ordered.state == JobState.FAILED
    assert "no layer called wings" in ordered.error


def test_the_same_shape_is_timed_once_at_a_time(
    base: LocalModel, data: Path, woken: list[bool]
) -> None:
    first = order_timing(base=base, config=config(base, data))
    again = order_timing(base=base, config=config(base, data, iters=900, seed=4))
    other = order_timing(base=base, config=config(base, data, batch_size=2))
    assert (first, len(woken)) == (again, 2)
    assert other != first


def test_a_timed_step_of_this_shape_counts_most(base: LocalModel, data: Path) -> None:
    usual = config(base, data, iters=100)
    assert examine(base, usual).pace is None
    taken(base, config(base, data, batch_size=1), 1.0)
    other = examine(base, usual)
    assert other.pace is not None
    assert other.pace.source == "other shape"
    taken(base, usual, 2.0)
    found = examine(base, usual)
    assert found.pace is not None
    assert (found.pace.source, found.seconds) == ("measured", 100 * found.pace.seconds)


def test_a_longer_text_takes_longer(base: LocalModel, data: Path, tmp_path: Path) -> None:
    taken(base, config(base, data, max_seq_length=512, batch_size=4), 2.0)
    long = tmp_path / "long"
    long.mkdir()
    write_rows(long / "train.jsonl", [{"text": "many words " * 40}] * 10)
    paces = [
        examine(base, config(base, folder, max_seq_length=512, batch_size=4)).pace
        for folder in (data, long)
    ]
    assert paces[0] is not None
    assert paces[1] is not None
    assert paces[1].seconds > 2 * paces[0].seconds


class TestPickedRows:
    def test_are_spread_over_the_lengths(self, tmp_path: Path) -> None:
        write_rows(tmp_path / "train.jsonl", [{"text": "x" * n} for n in range(100)])
        lengths = [len(line) for line in picked(tmp_path / "train.jsonl", 4)]
        assert lengths == sorted(lengths)
        assert lengths[-1] - lengths[0] == 75

    def test_come_twice_where_there_are_few(self, tmp_path: Path) -> None:
        write_rows(tmp_path / "train.jsonl", rows(2))
        assert len(picked(tmp_path / "train.jsonl", 12)) == 12

    @pytest.mark.parametrize("text", ["", "\n\n"])
    def test_of_an_empty_file_are_refused(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "train.jsonl").write_text(text)
        with pytest.raises(BadOrder, match="has no rows"):
            picked(tmp_path / "train.jsonl", 3)


class TestTheForm:
    def post(self, client: Client, data: Path, action: str) -> str:
        body = {"model": "base", "folder": str(data), "action": action}
        response = client.post(reverse("training:new"), body, headers={"HX-Request": "true"})
        return response.content.decode()

    def test_times_a_step_and_waits_for_it(
        self, client: Client, base: LocalModel, data: Path
    ) -> None:
        assert "Time a step" in self.post(client, data, "examine")
        page = self.post(client, data, "time")
        assert "A step is timed as soon as no other job holds a model." in page
        assert 'hx-trigger="every 2s"' in page
        StepTiming.objects.update(state="done", seconds=0.5, length=30.0, peak_memory=2**20)
        page = self.post(client, data, "examine")
        assert "a step of this shape was timed" in page
        assert "Memory seen" in page
        assert "every 2s" not in page

    def test_tells_why_it_could_not(self, client: Client, base: LocalModel, data: Path) -> None:
        self.post(client, data, "time")
        StepTiming.objects.update(state="failed", error="No room.")
        page = self.post(client, data, "examine")
        assert "No room." in page
        assert "Time a step" in page
