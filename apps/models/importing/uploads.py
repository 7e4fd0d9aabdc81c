"""A GGUF file from a browser, piece by piece.

A body of gigabytes in one request would be written twice to the system's temporary
folder before a view saw it. So the page sends pieces, each where the last one ended:
the first shows whether it is a GGUF file at all, an interrupted upload goes on from
what is there, and no more than one piece is in memory.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.core import signing

from apps.models.landing import FREE_FLOOR_BYTES
from apps.models.naming import slug_from
from apps.models.runtime.errors import ModelFormatError
from apps.models.work.models import ModelJob

CHUNK_BYTES = 8 * 1024 * 1024
"""What the page sends at a time."""
KEPT_SECONDS = 24 * 60 * 60
"""How long an upload that nobody goes on with is kept."""
MAX_NAME = 200

_SALT = "models.upload"


class UploadRefused(Exception):
    """The upload can't be taken; the message says why and what to do."""


class WrongPlace(Exception):
    """The piece does not begin where the file ends; ``received`` is where that is."""

    def __init__(self, received: int) -> None:
        super().__init__(f"The upload is at byte {received}.")
        self.received = received


@dataclass(frozen=True)
class Upload:
    """One file on its way. The browser keeps it, signed; the disk keeps how far it is."""

    id: str
    name: str
    """What the model is to be called; never a path."""
    size: int

    @property
    def token(self) -> str:
        return signing.dumps(asdict(self), salt=_SALT)

    @property
    def path(self) -> Path:
        return _folder() / self.id / f"{slug_from(self.name) or 'model'}.gguf"

    @property
    def received(self) -> int:
        """Bytes that are here."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def is_whole(self) -> bool:
        return self.received == self.size


def begin(*, name: str, size: int) -> Upload:
    """Make ready for a file of ``size`` bytes. Raises UploadRefused."""
    clear_abandoned()
    if size < 1:
        raise UploadRefused("The file is empty. Choose a GGUF file.")
    # The copy, and the converted model beside it.
    _require_space(2 * size)
    return Upload(secrets.token_hex(16), name[:MAX_NAME], size)


def resume(token: str) -> Upload:
    """The upload that ``begin`` gave this token for. Raises UploadRefused."""
    try:
        return Upload(**signing.loads(token, salt=_SALT, max_age=KEPT_SECONDS))
    except signing.BadSignature as error:
        raise UploadRefused("This upload is too old. Choose the file again.") from error


def append(upload: Upload, offset: int, piece: bytes) -> None:
    """Add a piece that begins at ``offset``.

    Raises WrongPlace, ModelFormatError where the file turns out to be no GGUF file,
    UploadRefused; after the latter two nothing of it is left.
    """
    upload.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with upload.path.open("ab") as file:
            # A browser that lost an answer may send a piece again while the first is written.
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0, os.SEEK_END)
            _write(upload, file, offset, piece)
        if offset == 0:
            _require_importable(upload.path)
    except (ModelFormatError, UploadRefused):
        drop(upload.path)
        raise


def _write(upload: Upload, file: BinaryIO, offset: int, piece: bytes) -> None:
    at = file.tell()
    if at != offset:
        raise WrongPlace(at)
    if not piece or offset + len(piece) > upload.size:
        raise UploadRefused("The file changed while it was read. Choose it again.")
    _require_space(upload.size - offset)
    file.write(piece)


def _require_importable(path: Path) -> None:
    """Raises ModelFormatError where the head already tells that it can't be imported."""
    from apps.models.runtime.gguf.peek import peek  # not in every Django process

    if problem := peek(path).problem:
        raise ModelFormatError(problem)


def clear_abandoned() -> None:
    """Remove the files of uploads and jobs that nobody goes on with."""
    jobs = ModelJob.objects.active().filter(kind=ModelJob.Kind.IMPORT)
    wanted = set(jobs.values_list("plan__path", flat=True))
    for file in _folder().glob("*/*.gguf"):
        with suppress(FileNotFoundError):  # another request clears away too
            if str(file) not in wanted and time.time() - file.stat().st_mtime > KEPT_SECONDS:
                drop(file)


def drop(file: Path) -> None:
    """Remove an uploaded file with the folder that it had for itself."""
    shutil.rmtree(file.parent, ignore_errors=True)


def _require_space(nbytes: int) -> None:
    free = shutil.disk_usage(settings.HUB.data_dir).free - FREE_FLOOR_BYTES
    if nbytes > free:
        raise UploadRefused(
            f"That needs {nbytes / 1e9:.1f} GB on the disk of the data folder, and "
            f"{max(free, 0) / 1e9:.1f} GB can be used. Make room, or give the path of a file that "
            "is on this machine already."
        )


def _folder() -> Path:
    return Path(settings.HUB.uploads_dir)
