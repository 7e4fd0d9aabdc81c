"""From rows that are being written to a version, whole at every moment.

Rows grow in a staged folder that its process holds a lock on. Once all of them are safe on
the disk it takes the name of their digest, and then a row of the database names it. A process
that dies leaves a folder that nobody holds or names: the next one removes it. Between the two
names the gate is held, so that nobody takes a folder for abandoned that is about to be named.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from apps.datasets.diff import difference_fact
from apps.datasets.errors import BadDataOrder
from apps.datasets.formats.statistics import statistics_of
from apps.datasets.formats.store.reading import RowFiles
from apps.datasets.formats.store.writing import Written
from apps.datasets.models import Dataset, DatasetJob, DatasetVersion

_STAGED = ".staged-"
_GATE = ".gate"
_DIGEST_DIGITS = 64
FREE_FLOOR_BYTES = 2 * 1024**3
"""What stays free on the disk."""


@contextmanager
def staged(nbytes: int = 0) -> Iterator[Path]:
    """An empty folder to write rows into; what is in it after the block is removed.

    ``nbytes``: about how much will be written. Raises BadDataOrder where there is no room.
    """
    remove_abandoned()
    home = _home()
    free = shutil.disk_usage(home).free - FREE_FLOOR_BYTES
    if nbytes > free:
        raise BadDataOrder(
            f"That needs {nbytes / 1e9:.1f} GB on the disk of the data folder, and "
            f"{max(free, 0) / 1e9:.1f} GB can be used. Make room, then try again."
        )
    with _gate(fcntl.LOCK_SH):
        folder = Path(tempfile.mkdtemp(prefix=_STAGED, dir=home))
        owner = os.open(folder, os.O_RDONLY)
        fcntl.flock(owner, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(owner)


def land(
    folder: Path,
    written: Written,
    *,
    dataset: Dataset,
    kind: str,
    change: str,
    parent: DatasetVersion | None = None,
    facts: dict[str, Any] | None = None,
    job: DatasetJob | None = None,
) -> DatasetVersion:
    """Make a version of a staged folder, and the dataset stand for it.

    ``job``: what ordered it. It gets the version as its result in the same transaction, so
    that a job that is killed right then does not make the version twice. Raises BadDataOrder
    where there are no rows.
    """
    if not any(written.counts):
        raise BadDataOrder("No row is left, so there is nothing to make a version of.")
    rows = RowFiles(folder)
    known = statistics_of(rows).as_json() | (facts or {})
    if parent is not None and parent.is_mapped == (kind != DatasetVersion.Kind.UNMAPPED):
        known |= difference_fact(parent.files, rows)
    with _gate(fcntl.LOCK_SH), transaction.atomic():
        _name(folder, _home() / written.digest)
        latest = dataset.versions.select_for_update().order_by("-number").first()
        version = DatasetVersion.objects.create(
            dataset=dataset,
            number=latest.number + 1 if latest else 1,
            parent=parent,
            digest=written.digest,
            kind=kind,
            change=change[:300],
            train_rows=written.counts[0],
            valid_rows=written.counts[1],
            test_rows=written.counts[2],
            nbytes=written.nbytes,
            facts=known,
            author=job.ordered_by if job else "",
        )
        dataset.head = version
        dataset.save(update_fields=["head"])
        if job is not None:
            job.result = version
            job.save(update_fields=["result"])
    return version


def remove_unnamed(digests: set[str]) -> None:
    """Remove the folders of these digests that no version has any more."""
    with _gate(fcntl.LOCK_EX):
        _remove_unnamed(digests)


def remove_abandoned() -> None:
    """Remove what processes that died left: folders that nobody writes, and that nobody names."""
    # Whoever holds the gate is about to write or to name a folder: there is a next time.
    with suppress(BlockingIOError), _gate(fcntl.LOCK_EX | fcntl.LOCK_NB):
        folders = [path for path in _home().iterdir() if path.is_dir()]
        for folder in folders:
            if folder.name.startswith(_STAGED) and not _is_held(folder):
                shutil.rmtree(folder, ignore_errors=True)
        _remove_unnamed({path.name for path in folders if len(path.name) == _DIGEST_DIGITS})


def _remove_unnamed(digests: set[str]) -> None:
    named = DatasetVersion.objects.filter(digest__in=digests).values_list("digest", flat=True)
    for digest in digests - set(named):
        shutil.rmtree(_home() / digest, ignore_errors=True)


def _name(folder: Path, place: Path) -> None:
    if place.exists():
        return
    try:
        folder.rename(place)
    except OSError:
        # Another process landed the same rows at this very moment.
        if not place.exists():
            raise


def _is_held(folder: Path) -> bool:
    """Whether the process that writes it lives: the system releases its lock however it ends."""
    owner = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(owner)
    return False


@contextmanager
def _gate(mode: int) -> Iterator[None]:
    """Held shared to make or name a folder, alone to remove some. Raises BlockingIOError."""
    with (_home() / _GATE).open("a") as file:
        fcntl.flock(file, mode)
        yield


def _home() -> Path:
    home = Path(settings.HUB.datasets_dir)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return home
