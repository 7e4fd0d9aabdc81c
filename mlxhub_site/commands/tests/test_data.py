"""Datasets on the command line."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings
from typer.testing import CliRunner, Result

from apps.datasets import running, tasks
from apps.datasets.models import DatasetJob
from apps.discovery.downloads import following
from mlxhub_site.cli import app

pytestmark = pytest.mark.django_db(transaction=True)

WORDS = """prompt,completion
Define tide.,[TIDE] the rise and fall of the sea
Define reef.,[REEF] rock close under the water
Define mast.,[MAST] the pole that carries the sails
Define mast.,[MAST] the pole that carries the sails
Define empty.,
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["data", *arguments])


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Settings) -> None:
    settings.HUB = settings.HUB.model_copy(update={"home": tmp_path / "hub"})
    Path(settings.HUB.data_dir).mkdir()


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "run_dataset_job", lambda key: None)
    monkeypatch.setattr(following, "worker_is_alive", lambda: False)


@pytest.fixture
def words(tmp_path: Path) -> Result:
    path = tmp_path / "words.csv"
    path.write_text(WORDS)
    return run("import", str(path), "--name", "words")


def test_a_command_does_the_workers_part_where_there_is_none(words: Result) -> None:
    assert words.exit_code == 0, words.output
    assert words.stdout.strip().startswith("words: 5 rows.")
    assert run("split", "words", "--valid", "0.2").exit_code == 0


def test_a_living_worker_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "words.csv"
    path.write_text(WORDS)

    def worker(key: int) -> None:
        running.run(DatasetJob.objects.get(pk=key), stops=threading.Event())

    monkeypatch.setattr(tasks, "run_dataset_job", worker)
    monkeypatch.setattr(following, "worker_is_alive", lambda: True)
    assert run("import", str(path)).stdout.startswith("words: 5 rows.")


@pytest.mark.usefixtures("words")
def test_what_is_wrong_is_told_and_removed() -> None:
    checked = run("check", "words")
    assert (checked.exit_code, "Duplicate" in checked.stdout) == (1, True)
    assert run("drop", "words", "--problem", "duplicate", "--problem", "empty").exit_code == 0
    assert run("check", "words").stdout.strip().startswith("Nothing is wrong with the 3 rows")


@pytest.mark.usefixtures("words")
def test_programs_get_json_of_what_was_made_and_found(tmp_path: Path) -> None:
    made = json.loads(run("split", "words", "--valid", "0.2", "--json").stdout)
    assert (made["dataset"], made["number"], made["valid_rows"]) == ("words", 3, 1)
    checked = run("check", "words", "--json")
    assert (checked.exit_code, json.loads(checked.stdout)["problems"]["DUPLICATE"]) == (1, 1)
    written = json.loads(run("export", "words", "--to", str(tmp_path / "out"), "--json").stdout)
    assert all(Path(file).is_file() for file in written["files"])


@pytest.mark.usefixtures("words")
def test_a_dataset_is_exported_in_mlx_lms_shape(tmp_path: Path) -> None:
    assert run("export", "words", "--to", str(tmp_path / "out")).exit_code == 0
    lines = (tmp_path / "out" / "train.jsonl").read_text().splitlines()
    assert json.loads(lines[0]).keys() == {"prompt", "completion"}


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    refused = run("import", str(tmp_path / "nothing.csv"))
    assert refused.exit_code == 3
    assert "There is no file or folder" in refused.output


@pytest.mark.usefixtures("words")
def test_columns_are_mapped_where_conditions_hold() -> None:
    arguments = ["--to", "chat", "--map", "user={prompt}", "--map", "assistant={completion}"]
    mapped = run("map", "words", *arguments, "--where", "completion ~ rock")
    assert mapped.exit_code == 0, mapped.output
    assert "1 rows. Mapped to chat, where completion ~ rock." in mapped.stdout
    refused = run("map", "words", "--to", "chat", "--map", "nobody={prompt}")
    assert "The roles are system, user, assistant" in refused.output


@pytest.mark.usefixtures("words")
def test_rows_are_removed_by_condition_and_by_language() -> None:
    assert "Removed 1 row: prompt ~ reef" in run("drop", "words", "--where", "prompt ~ reef").stdout
    assert " en " in run("languages", "words").stdout
    assert json.loads(run("languages", "words", "--json").stdout) == {"en": 3, "und": 1}
    refused = run("drop", "words")
    assert "Say which rows" in refused.output
