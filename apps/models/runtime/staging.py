"""A folder or a file that appears whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from apps.models.runtime.errors import ImportDestinationError

_STAGED = re.compile(r"^\..+\.importing-(?P<pid>\d+)-[^.]+$")


@contextmanager
def staged_folder(destination: Path) -> Iterator[Path]:
    """A temporary folder beside ``destination`` that takes its name when the block succeeds.

    On any error or interruption it is removed. A killed process leaves it behind,
    under a name that ``remove_abandoned`` knows. Raises ImportDestinationError where
    the destination exists or can't be written; other errors pass through.
    """
    with _beside(destination) as staged:
        yield staged
        _sync(staged)
        staged.chmod(0o755)
        _publish(staged, destination)


@contextmanager
def staged_file(destination: Path) -> Iterator[Path]:
    """The same for a file: where to write it, in a temporary folder of its own."""
    with _beside(destination) as folder:
        yield folder / destination.name
        _sync(folder)
        _publish(folder / destination.name, destination)


@contextmanager
def _beside(destination: Path) -> Iterator[Path]:
    if destination.exists():
        raise _taken(destination)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{destination.name}.importing-{os.getpid()}-"
        staged = Path(tempfile.mkdtemp(prefix=prefix, dir=destination.parent))
    except OSError as error:
        raise _unwritable(destination, error) from error
    try:
        yield staged
    except OSError as error:
        raise _unwritable(destination, error) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def remove_abandoned(parent: Path) -> list[str]:
    """Remove staged folders whose process is gone; returns their names."""
    removed = []
    for folder in parent.glob(".*.importing-*"):
        match = _STAGED.match(folder.name)
        if match and not psutil.pid_exists(int(match["pid"])):
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder.name)
    return removed


def require_space(folder: Path, nbytes: int) -> None:
    """Raises ImportDestinationError where ``folder``'s disk has no room for ``nbytes``."""
    free = shutil.disk_usage(folder).free
    if free < nbytes:
        raise ImportDestinationError(
            f"The import needs {nbytes / 1e9:.1f} GB on the disk of {folder.parent}, and "
            f"{free / 1e9:.1f} GB are free. Make room, then try again."
        )


def _publish(staged: Path, destination: Path) -> None:
    if destination.exists():  # another import of the same name was faster
        raise _taken(destination)
    staged.rename(destination)
    _sync_one(destination.parent)


def _sync(folder: Path) -> None:
    """Files reach the disk before the name that promises them does."""
    for path in [*folder.rglob("*"), folder]:
        _sync_one(path)


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _taken(destination: Path) -> ImportDestinationError:
    return ImportDestinationError(
        f"{destination} exists already, and an import never overwrites. Choose another name, or "
        "delete that model first."
    )


def _unwritable(destination: Path, error: OSError) -> ImportDestinationError:
    return ImportDestinationError(
        f"{destination} could not be written ({error.strerror or error}). Check the disk's free "
        "space and the folder's permissions, then try again."
    )
