"""A file of rows from a browser, piece by piece, or what somebody pasted.

Pieces go where the last one ended, so that a lost connection costs one piece and no more
than one is in memory. The browser keeps what it is sending, signed; the disk keeps how far
it is.
"""

from __future__ import annotations

import secrets
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings
from django.core import signing

from apps.datasets.errors import BadDataOrder
from apps.datasets.formats.reading.source import SUFFIXES, suffix_of
from apps.datasets.models import DatasetJob
from apps.models.naming import slug_from

CHUNK_BYTES = 8 * 1024 * 1024
"""What the page sends at a time."""
FREE_FLOOR_BYTES = 2 * 1024**3
KEPT_SECONDS = 24 * 60 * 60
"""How long an upload that nobody goes on with is kept."""

_SALT = "datasets.upload"
_PREFIX = "data-"


class WrongPlace(Exception):
    """The piece does not begin where the file ends; ``received`` is where that is."""

    def __init__(self, received: int) -> None:
        super().__init__(f"The upload is at byte {received}.")
        self.received = received


@dataclass(frozen=True)
class Upload:
    """One file on its way."""

    id: str
    name: str
    """As the browser calls it; of it only the suffix gets into a path."""
    size: int

    @property
    def token(self) -> str:
        return signing.dumps(asdict(self), salt=_SALT)

    @property
    def path(self) -> Path:
        return _folder() / f"{_PREFIX}{self.id}" / _safe_name(self.name)

    @property
    def stem(self) -> str:
        """What a dataset of it is called: the name without folders and suffixes."""
        return self.name.replace("\\", "/").rpartition("/")[2].partition(".")[0] or "upload"

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
    """Make ready for a file of ``size`` bytes. Raises BadDataOrder."""
    clear_abandoned()
    if not suffix_of(name):
        raise BadDataOrder(
            f"Files of this kind are not read here. Those are {', '.join(SUFFIXES)}, texts also "
            "packed as .gz or .zst."
        )
    if size < 1:
        raise BadDataOrder("The file is empty. Choose another.")
    # The copy, its columns, and the rows made of them.
    _require_space(3 * size)
    return Upload(secrets.token_hex(16), name[-200:], size)


def resume(token: str) -> Upload:
    """The upload that ``begin`` gave this token for. Raises BadDataOrder."""
    try:
        return Upload(**signing.loads(token, salt=_SALT, max_age=KEPT_SECONDS))
    except signing.BadSignature as error:
        raise BadDataOrder("This upload is too old. Choose the file again.") from error


def append(upload: Upload, offset: int, piece: bytes) -> None:
    """Add a piece that begins at ``offset``. Raises WrongPlace, BadDataOrder."""
    upload.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with upload.path.open("ab") as file:
        at = file.tell()
        if at != offset:
            raise WrongPlace(at)
        if not piece or offset + len(piece) > upload.size:
            raise BadDataOrder("The file changed while it was read. Choose it again.")
        _require_space(upload.size - offset)
        file.write(piece)


def pasted(text: str, suffix: str) -> Path:
    """A file of the hub's own with a text that somebody pasted."""
    upload = Upload(secrets.token_hex(16), f"pasted{suffix}", len(text))
    upload.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    upload.path.write_text(text, encoding="utf-8")
    return upload.path


def drop(file: Path) -> None:
    """Remove an uploaded file with the folder that it had for itself."""
    shutil.rmtree(file.parent, ignore_errors=True)


def clear_abandoned() -> None:
    """Remove the files of uploads and jobs that nobody goes on with."""
    imports = DatasetJob.objects.active().filter(kind=DatasetJob.Kind.IMPORT)
    wanted = {plan["path"] for plan in imports.values_list("plan", flat=True)}
    for file in _folder().glob(f"{_PREFIX}*/*"):
        if str(file) not in wanted and time.time() - file.stat().st_mtime > KEPT_SECONDS:
            drop(file)


def _safe_name(name: str) -> str:
    bare = name.replace("\\", "/").rpartition("/")[2]
    return slug_from(bare) or "upload"


def _require_space(nbytes: int) -> None:
    free = shutil.disk_usage(settings.HUB.data_dir).free - FREE_FLOOR_BYTES
    if nbytes > free:
        raise BadDataOrder(
            f"That needs {nbytes / 1e9:.1f} GB on the disk of the data folder, and "
            f"{max(free, 0) / 1e9:.1f} GB can be used. Make room, or give the path of a file that "
            "is on this machine already."
        )


def _folder() -> Path:
    return Path(settings.HUB.uploads_dir)
