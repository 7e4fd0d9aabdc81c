"""What the command line says when the data folder is damaged or can't be used."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import NoReturn

import pytest
import typer
from typer.testing import CliRunner

from mlxhub_site.cli import app
from mlxhub_site.commands.outcome import OUTDATED
from mlxhub_site.settings import HUB
from mlxhub_site.supervisor import up as supervisor_up
from mlxhub_site.supervisor.instance import StartRefused

COMMAND = [sys.executable, "-c", "from mlxhub_site.cli import main; main()", "models"]


def be_a_file(home: Path) -> None:
    home.touch()


def hold_a_damaged(name: str) -> Callable[[Path], None]:
    def spoil(home: Path) -> None:
        home.mkdir()
        (home / name).write_bytes(b"no database at all " * 500)

    return spoil


def hold_an_earlier_versions_database(home: Path) -> None:
    home.mkdir()
    with closing(sqlite3.connect(home / "hub.sqlite3")) as database:
        database.execute("CREATE TABLE django_migrations (id, app, name, applied)")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (be_a_file, "Error: The data folder can't be used: [Errno 17] File exists"),
        (hold_a_damaged("hub.sqlite3"), "Error: The database answered: file is not a database"),
        (hold_a_damaged("queue.sqlite3"), "Error: queue.sqlite3 in the data folder can't be"),
        (Path.mkdir, "Error: The database is not set up yet. Run `mlx-hub up` once"),
        (hold_an_earlier_versions_database, f"Error: {OUTDATED}"),
    ],
    ids=["a file in its place", "database", "queue", "nothing in it", "an earlier version's"],
)
def test_a_damaged_data_folder_is_one_line_on_standard_error(
    spoil: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    spoil(tmp_path / "home")
    environment = os.environ | {"MLXHUB_HOME": str(tmp_path / "home")}

    result = subprocess.run(
        COMMAND, env=environment, capture_output=True, text=True, check=False, timeout=60
    )

    assert result.returncode == 1
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1


def test_a_full_disk_refuses_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(supervisor_up, "_prepare", fail)
    monkeypatch.setattr(supervisor_up, "bound_socket", lambda host, port: nullcontext())
    (tmp_path / "run").mkdir()

    with pytest.raises(StartRefused, match="No space left on device"):
        supervisor_up.up(HUB.model_copy(update={"home": tmp_path}), lambda line: None)


def test_output_that_finds_no_room_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(name: str) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mlxhub_site.cli.installed_version", full)
    result = CliRunner().invoke(app, ["version"])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "Its output can't be written: No space left on device." in result.stderr


def test_ctrl_c_at_a_question_has_its_own_status(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(question: str) -> bool:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise typer.Abort from None  # as typer's own questions do

    monkeypatch.setattr("typer.confirm", interrupted)
    result = CliRunner().invoke(app, ["cache", "clear"])
    assert (result.exit_code, result.output) == (130, "")
