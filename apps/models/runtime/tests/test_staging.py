from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from apps.models.runtime.errors import ImportDestinationError
from apps.models.runtime.staging import remove_abandoned, require_space, staged_folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_folder_appears_when_the_work_is_done(tmp_path: Path) -> None:
    with staged_folder(tmp_path / "model") as staged:
        (staged / "weights").write_text("all")
        assert not (tmp_path / "model").exists()

    assert names(tmp_path) == {"model"}
    assert (tmp_path / "model" / "weights").read_text() == "all"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_when_the_work_fails(tmp_path: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        with staged_folder(tmp_path / "model") as staged:
            (staged / "weights").write_text("half")
            raise error

    with pytest.raises(error):
        fail()

    assert names(tmp_path) == set()


def test_the_slower_of_two_gives_way(tmp_path: Path) -> None:
    with (
        pytest.raises(ImportDestinationError, match="exists already"),
        staged_folder(tmp_path / "model"),
    ):
        (tmp_path / "model").mkdir()

    assert names(tmp_path) == {"model"}


def test_a_parent_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with (
        pytest.raises(ImportDestinationError, match="could not be written"),
        staged_folder(tmp_path / "file" / "model"),
    ):
        pass


def test_what_a_killed_process_left_is_removed_and_what_a_live_one_writes_stays(
    tmp_path: Path,
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / f".model.importing-{dead.pid}-abc"
    live = tmp_path / f".model.importing-{os.getpid()}-abc"
    other = tmp_path / ".model.importing-mine"
    for folder in (left, live, other):
        folder.mkdir()

    assert remove_abandoned(tmp_path) == [left.name]
    assert names(tmp_path) == {live.name, other.name}


def test_a_disk_without_room_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ImportDestinationError, match="Make room"):
        require_space(tmp_path, 2**62)
