"""What of a data folder belongs in a backup.

The database comes first: a row is written after its files are whole, so whatever the copied
database speaks of is on the disk when the files are walked. Datasets and adapters never
change once they are there. The task queue stays out: the jobs' rows are the truth, and the
worker looks for them when it starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMPANIONS = (".db-wal", ".db-shm", ".db-journal")
"""What SQLite keeps beside a database that is copied as one: MLflow's."""

DATABASE = "hub.sqlite3"
SECRET_KEY = "secret_key"  # noqa: S105 - a file's name

FILES = (DATABASE, SECRET_KEY)
FOLDERS = ("datasets", "adapters", "runs", "models", "mlflow")

CHECKPOINTS = "checkpoints"
"""A run's folder of what it can be resumed from: by far its largest part."""


@dataclass(frozen=True)
class Choice:
    """What goes along beside the database, datasets, adapters and the records of runs."""

    models: bool = False
    checkpoints: bool = False
    secret_key: bool = False


@dataclass(frozen=True)
class Found:
    name: str
    path: Path
    size: int


def files_of(home: Path, choice: Choice) -> Iterator[Found]:
    """The files beside the database, under the names that they get in the archive.

    Hidden ones are half-done work. Links are left out: what they point to is not the hub's.
    """
    if choice.secret_key and (home / SECRET_KEY).is_file():
        yield _found(home, home / SECRET_KEY)
    for folder in FOLDERS:
        if folder == "models" and not choice.models:
            continue
        for path in sorted((home / folder).rglob("*")):
            inside = path.relative_to(home / folder).parts
            if any(part.startswith(".") for part in inside) or path.is_symlink():
                continue
            if path.name.endswith(COMPANIONS):
                continue
            if folder == "runs" and CHECKPOINTS in inside and not choice.checkpoints:
                continue
            if path.is_file():
                yield _found(home, path)


def _found(home: Path, path: Path) -> Found:
    return Found(path.relative_to(home).as_posix(), path, path.stat().st_size)
