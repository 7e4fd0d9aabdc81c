"""From rows that are being written to a version, whole at every moment.

Rows grow in a folder named after the process that writes them. Once all of them are safe
on the disk it takes the name of their digest, and then a row of the database names it. A
process that dies leaves a folder that nobody names: the next one removes it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings
from django.db import transaction

from apps.datasets.errors import BadDataOrder
from apps.datasets.formats.statistics import statistics_of
from apps.datasets.formats.store.reading import RowFiles
from apps.datasets.formats.store.writing import Written
from apps.datasets.models import Dataset, DatasetVersion

_STAGED = ".staged-"
FREE_FLOOR_BYTES = 2 * 1024**3
"""What stays free on the disk."""


@contextmanager
def staged(nbytes: int = 0) -> Iterator[Path]:
    """An empty folder to write rows into; what is in it after the block is removed.

    ``nbytes``: about how much will be written. Raises BadDataOrder where there is no room.
    """
    home = Path(settings.HUB.datasets_dir)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    _remove_abandoned(home)
    free = shutil.disk_usage(home).free - FREE_FLOOR_BYTES
    if nbytes > free:
        raise BadDataOrder(
            f"That needs {nbytes / 1e9:.1f} GB on the disk of the data folder, and "
            f"{max(free, 0) / 1e9:.1f} GB can be used. Make room, then try again."
        )
    folder = Path(tempfile.mkdtemp(prefix=f"{_STAGED}{psutil.Process().pid}-", dir=home))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def land(
    folder: Path,
    written: Written,
    *,
    dataset: Dataset,
    kind: str,
    change: str,
    parent: DatasetVersion | None = None,
    facts: dict[str, Any] | None = None,
) -> DatasetVersion:
    """Make a version of a staged folder, and the dataset stand for it.

    Raises BadDataOrder where it has no rows.
    """
    if not any(written.counts):
        raise BadDataOrder("No row is left, so there is nothing to make a version of.")
    place = Path(settings.HUB.datasets_dir) / written.digest
    known = statistics_of(RowFiles(folder)).as_json() | (facts or {})
    if not place.exists():
        try:
            folder.rename(place)
        except OSError:
            # Another process landed the same rows at this very moment.
            if not place.exists():
                raise
    with transaction.atomic():
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
        )
        dataset.head = version
        dataset.save(update_fields=["head"])
    return version


def remove_unnamed(digests: set[str]) -> None:
    """Remove the folders of these digests that no version has any more."""
    named = DatasetVersion.objects.filter(digest__in=digests).values_list("digest", flat=True)
    for digest in digests - set(named):
        shutil.rmtree(Path(settings.HUB.datasets_dir) / digest, ignore_errors=True)


def _remove_abandoned(home: Path) -> None:
    for folder in home.glob(f"{_STAGED}*"):
        owner = folder.name.removeprefix(_STAGED).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
