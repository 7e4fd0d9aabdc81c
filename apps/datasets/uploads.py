"""Files of rows from a browser, and what somebody pasted."""

from __future__ import annotations

from pathlib import Path

from apps.datasets.formats.reading.source import SUFFIXES, suffix_of
from apps.datasets.models import DatasetJob
from apps.models.landing import FREE_FLOOR_BYTES
from apps.models.naming import slug_from
from apps.uploads.pieces import Upload, UploadPlace, UploadRefused, bare_name

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


def dataset_name(upload: Upload) -> str:
    """What a dataset of it is called: the file's name without folders and suffixes."""
    return bare_name(upload.name).partition(".")[0] or "upload"


def pasted(text: str, suffix: str) -> Path:
    """A file of the hub's own with a text that somebody pasted. Raises UploadRefused."""
    return PLACE.whole(f"pasted{suffix}", text.encode()).path
