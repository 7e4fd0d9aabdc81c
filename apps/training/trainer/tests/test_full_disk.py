"""A disk that really is full: a small file system of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from apps.training.trainer.control import Control, Wish
from apps.training.trainer.events import Failed
from apps.training.trainer.tests.runs import make_run, train

ROOM = "size=1m"
"""For two checkpoints of all weights, 290 kB each, and not for three."""


def mount(*arguments: str) -> bool:
    program = shutil.which("mount")
    if program is None or os.geteuid() != 0:
        return False
    return not subprocess.run([program, *arguments], capture_output=True, check=False).returncode


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A small disk, and what makes it larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mount("-t", "tmpfs", "-o", ROOM, "tmpfs", str(folder)):
        pytest.skip("no file system can be mounted here")
    yield folder, lambda: mount("-o", "remount,size=16m", str(folder))
    subprocess.run(["umount", str(folder)], check=True)


SETTINGS = {"method": "full", "keep_checkpoints": 10, "steps_per_eval": 12}


def test_a_full_disk_ends_the_run_with_its_checkpoints_and_it_goes_on_once_there_is_room(
    model, tmp_path, disk
) -> None:
    folder, enlarge = disk
    run = make_run(folder / "run", model, **SETTINGS)
    told = train(run)
    assert isinstance(told[-1], Failed)
    assert told[-1].fault == "disk_full"
    assert "Make room" in told[-1].message
    saved = [event.step for event in told if event.kind == "saved"]
    kept = sorted(int(path.name) for path in (run / "checkpoints").iterdir())
    assert kept == saved
    assert saved
    enlarge()
    assert train(run)[-1].kind == "ended"
    whole = make_run(tmp_path / "whole", model, **SETTINGS)
    train(whole)
    name = Path("model") / "model.safetensors"
    assert (run / name).read_bytes() == (whole / name).read_bytes()


class FillsTheDisk(Control):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._filler = folder / "filler"

    def look(self) -> Wish:
        if not self._filler.exists():
            with suppress(OSError), self._filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        return super().look()


def test_a_disk_without_room_for_a_line_is_told(model, disk) -> None:
    folder, _ = disk
    run = make_run(folder / "run", model, steps_per_save=1000, valid=[], iters=1000)
    last = train(run, FillsTheDisk(folder))[-1]
    assert isinstance(last, Failed)
    assert last.fault == "disk_full"
