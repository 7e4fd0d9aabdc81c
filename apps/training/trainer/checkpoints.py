"""A run's checkpoints: folders that appear whole or not at all, named by their step.

Each holds what the next step depends on: the trained weights, the optimiser's state and
the run's progress. Random numbers and the order of batches follow from seed and step.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlx.core as mx
from pydantic import ValidationError

from apps.training.trainer.errors import CheckpointDamaged, disk_full
from apps.training.trainer.progress import Progress

logger = logging.getLogger(__name__)

_FOLDER = "checkpoints"
_WEIGHTS = "weights.safetensors"
_OPTIMIZER = "optimizer.safetensors"
_PROGRESS = "progress.json"

Arrays = dict[str, mx.array]


class Checkpoints:
    def __init__(self, run: Path, keep: int) -> None:
        self._folder = run / _FOLDER
        self._keep = keep

    def steps(self) -> list[int]:
        """Of the checkpoints there are, in ascending order."""
        names = [path.name for path in self._folder.glob("[0-9]*") if path.name.isdigit()]
        return sorted(map(int, names))

    def save(self, progress: Progress, weights: Arrays, optimizer: Arrays) -> bool:
        """False where this step has one already. Raises DiskFull; the older ones stay."""
        self._folder.mkdir(exist_ok=True)
        target = self._path(progress.step)
        if target.exists():
            return False
        staged = self._folder / f".{progress.step}.new"
        shutil.rmtree(staged, ignore_errors=True)
        try:
            staged.mkdir()
            save_arrays(staged / _WEIGHTS, weights)
            save_arrays(staged / _OPTIMIZER, optimizer)
            write_text(staged / _PROGRESS, progress.model_dump_json())
            staged.rename(target)
            sync(self._folder)
        except OSError as error:
            shutil.rmtree(staged, ignore_errors=True)
            raise disk_full(error) from error
        for step in self.steps()[: -self._keep]:
            shutil.rmtree(self._path(step))
        return True

    def newest(self) -> tuple[Progress, Arrays, Arrays] | None:
        """Progress, weights and optimiser of the newest checkpoint that can be read.

        None where the run has none. Raises CheckpointDamaged where none can be read. Whoever
        asks is alone in the run's folder and goes on from there.
        """
        self._clear()
        steps = self.steps()
        for step in reversed(steps):
            folder = self._path(step)
            try:
                progress = Progress.model_validate_json((folder / _PROGRESS).read_bytes())
                return progress, _load(folder / _WEIGHTS), _load(folder / _OPTIMIZER)
            except (OSError, RuntimeError, ValidationError):
                logger.exception("the checkpoint of step %d can't be read", step)
                # Or the run would find it in its way when it comes to this step again.
                shutil.rmtree(folder)
        if steps:
            raise CheckpointDamaged(
                f"None of the run's {len(steps)} checkpoints can be read. Start the run anew."
            )
        return None

    def _clear(self) -> None:
        """Remove what a trainer that was killed had half written."""
        for staged in self._folder.glob(".*.new"):
            shutil.rmtree(staged)

    def _path(self, step: int) -> Path:
        return self._folder / f"{step:07d}"


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Write a safetensors file and have it on the disk. Raises OSError."""
    with mlx_writes():
        mx.save_safetensors(str(path), arrays)
    # MLX does not always tell when the disk had no room for all of it.
    expected = sum(array.nbytes for array in arrays.values())
    if path.stat().st_size < expected:
        raise OSError(f"{path.name} has {path.stat().st_size} of more than {expected} bytes")
    sync(path)


@contextmanager
def mlx_writes() -> Iterator[None]:
    """MLX has no error of its own for a file that it can't write. Raises OSError."""
    try:
        yield
    except RuntimeError as error:
        if "[write]" not in str(error):
            raise
        raise OSError(errno.ENOSPC, str(error)) from error


def write_text(path: Path, text: str) -> None:
    """Write a small file and have it on the disk. Raises OSError."""
    path.write_text(text)
    sync(path)


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _load(path: Path) -> Arrays:
    loaded = mx.load(str(path))
    assert isinstance(loaded, dict)
    mx.eval(loaded)
    return loaded
