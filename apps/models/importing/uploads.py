"""Uploads of GGUF files: the first piece shows whether it is one at all."""

from __future__ import annotations

from pathlib import Path

from apps.models.landing import FREE_FLOOR_BYTES
from apps.models.naming import slug_from
from apps.models.runtime.errors import ModelFormatError
from apps.models.work.models import ModelJob
from apps.uploads.pieces import Upload, UploadPlace, drop

PLACE = UploadPlace(
    kind="model",
    file_name=lambda name: f"{slug_from(name) or 'model'}.gguf",
    copies=2,  # the file, and the converted model beside it
    free_floor=FREE_FLOOR_BYTES,
)


def begin(*, name: str, size: int) -> Upload:
    """Make ready for a file; ``name`` is what the model is to be called. Raises UploadRefused."""
    jobs = ModelJob.objects.active().filter(kind=ModelJob.Kind.IMPORT)
    PLACE.clear_abandoned(set(jobs.values_list("plan__path", flat=True)))
    return PLACE.begin(name, size)


def append(upload: Upload, offset: int, piece: bytes) -> None:
    """Add a piece.

    Raises WrongPlace; or UploadRefused, or ModelFormatError where the file turns out to be
    none that can be imported: then nothing of it is left.
    """
    PLACE.append(upload, offset, piece)
    if offset == 0:
        try:
            _require_importable(upload.path)
        except ModelFormatError:
            drop(upload.path)
            raise


def _require_importable(path: Path) -> None:
    """Raises ModelFormatError where the head already tells that it can't be imported."""
    from apps.models.runtime.gguf.peek import peek  # not in every Django process

    if problem := peek(path).problem:
        raise ModelFormatError(problem)
