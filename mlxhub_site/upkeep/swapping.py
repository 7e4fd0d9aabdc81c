"""Exchanges files of a data folder for others: all of them, or none.

    .restore/new/         what is to come, whole before anything moves
    .restore/journal.json what moves; while it is there, the exchange is not over
    backups/replaced-…/   what was there, from its first rename on

Renames within one folder can't fill a disk and each is atomic. Whoever opens the folder
calls ``undo``: where a journal lies, its process was killed, and what had moved goes back.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

FOLDER = ".restore"


def staging(home: Path) -> Path:
    """An empty folder for what is to come, on the same disk."""
    shutil.rmtree(home / FOLDER, ignore_errors=True)
    new = home / FOLDER / "new"
    new.mkdir(parents=True, mode=0o700)
    return new


def swap(home: Path, names: Sequence[str], *, keep: Path) -> None:
    """Put what lies in the staging folder in the place of ``names``, and the old into ``keep``.

    A name that is not in the staging folder is only taken away. ``keep``: a new folder below
    ``home``.
    """
    work = home / FOLDER
    keep.parent.mkdir(exist_ok=True, mode=0o700)
    keep.mkdir(mode=0o700)
    coming = [name for name in names if (work / "new" / name).exists()]
    moves = {"names": list(names), "coming": coming, "keep": keep.relative_to(home).as_posix()}
    _write_down(work / "journal.json", moves)
    for name in names:
        if (home / name).exists():
            (home / name).rename(keep / name)
        if name in coming:
            (work / "new" / name).rename(home / name)
    _sync(keep)
    _sync(home)
    (work / "journal.json").unlink()
    _sync(work)
    shutil.rmtree(work)


def is_underway(home: Path) -> bool:
    """Whether an exchange was begun and not ended, by a process that lives or was killed."""
    return (home / FOLDER).is_dir()


def undo(home: Path) -> bool:
    """Take back an exchange that was cut short, and remove what it left; whether there was one.

    It may be cut short itself, and called again.
    """
    work = home / FOLDER
    if not work.is_dir():
        return False
    journal = work / "journal.json"
    began = journal.is_file()
    if began:
        moves = json.loads(journal.read_text())
        keep = home / moves["keep"]
        for name in reversed(moves["names"]):
            if name in moves["coming"] and not (work / "new" / name).exists():
                (home / name).rename(work / "new" / name)
            if (keep / name).exists():
                (keep / name).rename(home / name)
        if keep.is_dir():
            keep.rmdir()
        _sync(home)
        journal.unlink()
        _sync(work)
    shutil.rmtree(work)
    return began


def _write_down(path: Path, value: object) -> None:
    staged = path.with_suffix(".new")
    with staged.open("w") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    staged.rename(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Have the renames in a folder survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
