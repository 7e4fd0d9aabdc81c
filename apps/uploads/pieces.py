"""A file from a browser, piece by piece.

A body of gigabytes in one request would be written twice to the system's temporary
folder before a view saw it. So a page sends pieces, each where the last one ended: an
interrupted upload goes on from what is there, and no more than one piece is in memory.
The browser keeps what it is sending, signed; the disk keeps how far it is.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core import signing
from django.http import HttpRequest

CHUNK_BYTES = 8 * 1024 * 1024
"""Of one piece, at most."""

KEPT_SECONDS = 24 * 3600
"""How long a file that nobody goes on with stays."""

MAX_NAME = 200


class UploadRefused(Exception):
    """The upload can't be taken; the message says why and what to do."""


class WrongPlace(Exception):
    """The piece does not begin where the file ends; ``received`` is where that is."""

    def __init__(self, received: int) -> None:
        super().__init__(f"The upload is at byte {received}.")
        self.received = received


@dataclass(frozen=True)
class Upload:
    """One file on its way."""

    token: str
    """What the browser shows with each piece."""
    name: str
    """As the browser calls it; never a path."""
    size: int
    path: Path
    """Where it grows."""

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


@dataclass(frozen=True)
class UploadPlace:
    """Where uploads of one kind go: a folder for each, in the data folder."""

    kind: str
    """Begins the folders' names, and keeps the tokens of one kind from serving another."""
    file_name: Callable[[str], str]
    """A plain file name for the browser's name."""
    copies: int
    """How often the file's size has to fit on the disk, for what is made of it."""
    free_floor: int
    """Bytes that stay free."""

    def begin(self, name: str, size: int) -> Upload:
        """Make ready for a file of ``size`` bytes. Raises UploadRefused."""
        if size < 1:
            raise UploadRefused("The file is empty. Choose another.")
        self._require_space(self.copies * size)
        return self._upload(secrets.token_hex(16), name[-MAX_NAME:], size)

    def resume(self, token: str) -> Upload:
        """The upload that ``begin`` gave this token for. Raises UploadRefused."""
        try:
            given = signing.loads(token, salt=self._salt, max_age=KEPT_SECONDS)
        except signing.BadSignature as error:
            raise UploadRefused("This upload is too old. Choose the file again.") from error
        return self._upload(*given)

    def append(self, upload: Upload, offset: int, piece: bytes) -> None:
        """Add a piece that begins at ``offset``.

        Raises WrongPlace, or UploadRefused; after that nothing of the file is left.
        """
        upload.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with upload.path.open("ab") as file:
                # A browser that lost an answer may send a piece again while the first is written.
                fcntl.flock(file, fcntl.LOCK_EX)
                at = file.seek(0, os.SEEK_END)
                if at != offset:
                    raise WrongPlace(at)
                if not piece or offset + len(piece) > upload.size:
                    raise UploadRefused("The file changed while it was read. Choose it again.")
                self._require_space(upload.size - offset)
                file.write(piece)
        except UploadRefused:
            drop(upload.path)
            raise

    def whole(self, name: str, content: bytes) -> Upload:
        """A file that came in one piece. Raises UploadRefused."""
        upload = self.begin(name, len(content))
        self.append(upload, 0, content)
        return upload

    def clear_abandoned(self, wanted: Collection[str]) -> None:
        """Remove the files that nobody goes on with, but for those in ``wanted``, by path."""
        for folder in _folder().glob(f"{self.kind}-*"):
            # Another request clears away too, and so does an import that ends.
            with suppress(FileNotFoundError):
                for file in folder.iterdir():
                    age = time.time() - file.stat().st_mtime
                    if str(file) not in wanted and age > KEPT_SECONDS:
                        drop(file)

    @property
    def _salt(self) -> str:
        return f"uploads.{self.kind}"

    def _upload(self, key: str, name: str, size: int) -> Upload:
        token = signing.dumps((key, name, size), salt=self._salt)
        path = _folder() / f"{self.kind}-{key}" / self.file_name(name)
        return Upload(token, name, size, path)

    def _require_space(self, nbytes: int) -> None:
        free = shutil.disk_usage(settings.HUB.data_dir).free - self.free_floor
        if nbytes > free:
            raise UploadRefused(
                f"That needs {nbytes / 1e9:.1f} GB on the disk of the data folder, and "
                f"{max(free, 0) / 1e9:.1f} GB can be used. Make room, or give the path of a file "
                "that is on this machine already."
            )


def piece_of(request: HttpRequest) -> tuple[int, bytes]:
    """The piece in a request's body, and its place at ``?offset=``.

    Raises UploadRefused before anything is read of a piece that is too large, or of no
    stated length or place.
    """
    offset, length = request.GET.get("offset", ""), request.headers.get("Content-Length", "")
    if not (_is_number(offset) and _is_number(length) and int(length) <= CHUNK_BYTES):
        raise UploadRefused(
            "This piece can't be taken: it has to say its length, at most 8 MB, and its place. "
            "Choose the file again."
        )
    return int(offset), request.body


def drop(file: Path) -> None:
    """Remove an uploaded file with the folder that it had for itself."""
    shutil.rmtree(file.parent, ignore_errors=True)


def bare_name(name: str) -> str:
    """What a browser calls a file, without folders of whichever system."""
    return name.replace("\\", "/").rpartition("/")[2]


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) < 18


def _folder() -> Path:
    return Path(settings.HUB.uploads_dir)
