"""Files of rows from a browser."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from apps.datasets.errors import DatasetError
from apps.datasets.formats.reading.source import SUFFIXES, suffix_of
from apps.datasets.models import DatasetJob
from apps.datasets.services import OWNER, import_of, order_import
from apps.models.landing import FREE_FLOOR_BYTES
from apps.models.naming import slug_from
from apps.uploads.pieces import (
    Upload,
    UploadPlace,
    UploadRefused,
    WrongPlace,
    bare_name,
    drop,
)

PLACE = UploadPlace(
    kind="data",
    file_name=lambda name: slug_from(bare_name(name)) or "upload",
    copies=3,  # the file, its columns, and the rows made of them
    free_floor=FREE_FLOOR_BYTES,
)


def begin(*, name: str, size: int) -> Upload:
    """Make ready for a file of a kind that is read here. Raises UploadRefused."""
    imports = DatasetJob.objects.active().filter(kind=DatasetJob.Kind.IMPORT)
    PLACE.clear_abandoned({plan["path"] for plan in imports.values_list("plan", flat=True)})
    if not suffix_of(name):
        raise UploadRefused(
            f"Files of this kind are not read here. Those are {', '.join(SUFFIXES)}, texts also "
            "packed as .gz or .zst."
        )
    return PLACE.begin(name, size)


def take(
    upload: Upload, offset: int, piece: bytes, *, name: str = "", by: str = OWNER
) -> DatasetJob | None:
    """Add a piece, and the import once the file is whole: the same one whoever sends it again.

    A piece that begins elsewhere than the file ends is left out: ``upload.received`` says what
    is wanted next. ``name``: of the dataset; empty: as the file. Raises UploadRefused,
    DatasetError; then nothing of the file is left.
    """
    if (ordered := import_of(upload.path)) is not None:
        return ordered
    with suppress(WrongPlace):
        PLACE.append(upload, offset, piece)
    return order(upload.path, name or dataset_name(upload), by=by) if upload.is_whole else None


def order(path: Path, name: str, *, by: str) -> DatasetJob:
    """The import of a file of the hub's own. Raises DatasetError; then the file is gone."""
    try:
        return order_import(path=path, name=name, uploaded=True, by=by)
    except DatasetError:
        drop(path)
        raise


def dataset_name(upload: Upload) -> str:
    """What a dataset of it is called: the file's name without folders and suffixes."""
    return bare_name(upload.name).partition(".")[0] or "upload"
