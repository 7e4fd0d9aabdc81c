"""`mlx-hub logs` of the hub's processes. Those of a training are among the trainings' tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings
from typer.testing import CliRunner, Result

from mlxhub_site.cli import app
from mlxhub_site.commands import logs

pytestmark = pytest.mark.django_db(transaction=True)

Write = Callable[..., None]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ("logs", *arguments))


@pytest.fixture
def write(tmp_path: Path, settings: Settings) -> Write:
    """Adds a line to a process's log."""
    settings.HUB = settings.HUB.model_copy(update={"home": tmp_path})
    Path(settings.HUB.logs_dir).mkdir(parents=True, exist_ok=True)

    def write(process: str, second: int, message: str, level: str = "info") -> None:
        time = f"2030-01-02T03:04:{second:02}+00:00"
        line = {"time": time, "level": level, "process": process, "message": message}
        with (Path(settings.HUB.logs_dir) / f"{process}.log").open("a") as file:
            file.write(json.dumps(line) + "\n")

    return write


def test_the_last_lines_of_all_processes_come_in_order(write: Write) -> None:
    write("engine", 1, "Loading tiny.")
    write("web", 2, "Listening.")
    write("engine", 3, "Out of memory.", "error")
    said = [line.split(maxsplit=2)[2] for line in run().stdout.splitlines()]
    assert said == ["engine  Loading tiny.", "web     Listening.", "engine  ERROR Out of memory."]
    assert len(run("--lines", "2").stdout.splitlines()) == 2


def test_one_process_is_asked_for_and_told_to_programs_line_by_line(write: Write) -> None:
    write("engine", 1, "Loading tiny.")
    write("web", 2, "Listening.")
    (line,) = run("engine", "--json").stdout.splitlines()
    assert json.loads(line)["message"] == "Loading tiny."


def test_a_line_steers_no_terminal(write: Write) -> None:
    write("web", 1, "\x1b[2J\x9b31mgone")
    assert "\x1b" not in run().stdout
    assert "gone" in run().stdout


def test_lines_that_come_are_followed_once_each_until_ctrl_c(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("web", 5, "First.")
    looks = iter(range(4))

    def wait(seconds: float) -> None:
        match next(looks):
            case 0:
                write("web", 6, "Second.")
                # Written behind a later line of another process.
                write("engine", 5, "Late.")
            case 1:
                write("web", 7, "Third.")
            case 3:
                raise KeyboardInterrupt

    monkeypatch.setattr(logs.time, "sleep", wait)
    result = run("-f")
    said = [line.split(maxsplit=3)[3] for line in result.stdout.splitlines()]
    assert said == ["First.", "Late.", "Second.", "Third."]
    assert result.exit_code == 130


@pytest.mark.parametrize(
    ("of", "status", "said"),
    [
        ("nonsense", 2, "none of web, engine, worker, hub, trainer"),
        ("4711", 3, "There is no training job 4711. `mlx-hub jobs` lists them."),
    ],
)
def test_what_has_no_log_is_one_line(write: Write, of: str, status: int, said: str) -> None:
    result = run(of)
    assert (result.exit_code, said in result.stderr) == (status, True), result.output
    assert "/api/" not in result.stderr
