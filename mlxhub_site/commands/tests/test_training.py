"""`mlx-hub train | jobs | logs | pause | stop | keep | resume`, with a tiny model and the real trainer."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from apps.models.models import LocalModel
from apps.training.models import TrainingJob
from apps.training.tests.conftest import base, data, data_folder, queued, weights
from apps.training.tests.jobs import make_job
from apps.training.trainer.tests.runs import rows, write_rows
from mlxhub_site.cli import app

__all__ = ["base", "data", "data_folder", "queued", "weights"]


pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def train(data: Path, *more: str) -> Result:
    return run("train", "base", "--data", str(data), "--name", "Numbers", *more)


def test_an_adapter_is_trained_here(base: LocalModel, data: Path) -> None:
    result = train(data, "--iters", "4", "--rank", "2", "--set", "val_batches=1")
    assert result.exit_code == 0, result.output
    assert "base:numbers is ready" in result.stdout
    assert "base:numbers" in run("jobs").stdout
    key = str(TrainingJob.objects.get().pk)
    assert '"kind":"ended"' in run("logs", key, "--events").stdout
    assert "only a job that stands still goes on" in run("resume", key).stderr


def test_a_job_is_left_to_the_worker(base: LocalModel, data: Path, queued: list[int]) -> None:
    result = train(data, "--detach")
    assert "mlx-hub logs -f" in result.stdout, result.output
    assert queued == [TrainingJob.objects.get().pk]
    assert run("stop", str(queued[0])).stdout == "Numbers: paused.\n"


def test_a_jobs_name_steers_no_terminal(base: LocalModel, data: Path, queued: list[int]) -> None:
    train(data, "--detach")
    TrainingJob.objects.update(name="Numbers\x1b[2J")
    assert run("stop", str(queued[0])).stdout == "Numbers[2J: paused.\n"


def test_a_job_has_its_place_in_the_line(base: LocalModel, data: Path, queued: list[int]) -> None:
    train(data, "--detach", "--priority", "low")
    first = TrainingJob.objects.get()
    when = ("--not-before", "2030-01-02T03:04:05", "--after", str(first.pk))
    result = run("train", "base", "--data", str(data), "--name", "Later", "--detach", *when,
                 "--priority", "high", "--no-self-resuming")  # fmt: skip
    assert result.exit_code == 0, result.output
    later = TrainingJob.objects.get(name="Later")
    assert (first.priority, later.priority, later.after) == (-1, 1, first)
    assert later.not_before == datetime(2030, 1, 2, 3, 4, 5).astimezone()
    assert (first.self_resuming, later.self_resuming) == (True, False)


def test_a_job_is_paused_and_leaves_a_result_once_it_has_one(
    base: LocalModel, data: Path, queued: list[int]
) -> None:
    train(data, "--detach")
    key = str(TrainingJob.objects.get().pk)
    assert run("pause", key).stdout == "Numbers: paused.\n"
    assert "no checkpoint" in run("keep", key).stderr
    stopped = make_job(base, state="done", ending="stopped")
    assert "is queued" in run("resume", str(stopped.pk), "--detach").stdout


def test_settings_come_from_mlx_lms_yaml(base: LocalModel, data: Path, tmp_path: Path) -> None:
    config = tmp_path / "lora.yaml"
    config.write_text("iters: 90\nlora_parameters: {rank: 3, scale: 5.0}\n")
    result = train(data, "--config", str(config), "--iters", "80", "--rank", "4", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "iters: 80" in result.stdout
    assert "rank: 4\n  scale: 5.0" in result.stdout
    assert "Memory: Fits" in result.stdout
    assert not TrainingJob.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--set", "wings"), "NAME=VALUE"),
        (("--config", "/nowhere.yaml"), "can't be read"),
        (("--batch-size", "0"), "batch_size"),
        (("--method", "magic"), "method"),
    ],
)
def test_what_can_not_be_used_is_one_line(
    base: LocalModel, data: Path, arguments: tuple[str, ...], told: str
) -> None:
    result = train(data, *arguments)
    assert result.exit_code == 2
    assert told in result.stderr


def test_the_jobs_are_listed_as_json(tiny: LocalModel) -> None:
    job = make_job(tiny)
    assert f'"id": {job.pk}' in run("jobs", "--json").stdout


@pytest.mark.parametrize("command", ["logs", "pause", "stop", "keep", "resume"])
def test_an_unknown_job_is_one_line(db: None, command: str) -> None:
    result = run(command, "4711")
    assert (result.exit_code, "no training job 4711" in result.stderr) == (3, True)


def test_an_adapter_is_trained_on_and_its_result_measured(base: LocalModel, data: Path) -> None:
    write_rows(data / "test.jsonl", rows(4, first=90))
    few = ("--iters", "2", "--rank", "2", "--method", "dora")
    first = train(data, *few)
    assert "Test loss " in first.stdout, first.output
    assert ", of 4 rows." in first.stdout
    again = run("train", "base", "--data", str(data), "--name", "Second", "--iters", "2",
                "--start-from", "numbers", "--set", "test=false")  # fmt: skip
    assert again.exit_code == 0, again.output
    assert "Test loss" not in again.stdout
    second = TrainingJob.objects.get(name="Second")
    assert str(second.start_adapter) == "base:numbers"
    assert (second.config.method, second.config.lora.rank) == ("dora", 2)
    assert second.adapter is not None
    assert second.adapter.parent == second.start_adapter
