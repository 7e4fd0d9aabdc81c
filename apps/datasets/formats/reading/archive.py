"""ZIP files: their members, read in place. Nothing is ever unpacked by its name."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from apps.datasets.formats.errors import Damaged, Refused
from apps.datasets.formats.limits import (
    BOMB_FROM_BYTES,
    BOMB_RATIO,
    CHUNK_BYTES,
    MAX_FILES,
    MAX_UNPACKED_BYTES,
)
from apps.datasets.formats.reading.streams import within_bounds

UNPACK_FAILURES = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What the zipfile module raises on members that are damaged, locked or of a rare method."""

_ENCRYPTED = 0x1


@contextmanager
def members_of(path: Path) -> Iterator[tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]]:
    """The files of an archive, in the order of their names. Raises Refused, Damaged."""
    try:
        archive = zipfile.ZipFile(path)
    except UNPACK_FAILURES as error:
        raise Damaged(f"{path.name} is no whole ZIP file: {error}. Copy it again.") from error
    with archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        _require_harmless(path.name, infos)
        yield archive, sorted(infos, key=lambda info: info.filename)


def is_unsafe(name: str) -> bool:
    """Whether a member's name leads out of the archive, as only an attack's does."""
    return name.startswith(("/", "\\")) or ":" in name[:3] or ".." in _parts(name)


def chunks_of_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """What a member holds, whatever the archive says of its size. Raises Refused, Damaged."""
    if info.flag_bits & _ENCRYPTED:
        raise Damaged(f"{info.filename} is locked with a password. Unpack it and import the file.")

    def pairs(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk, info.compress_size

    try:
        with archive.open(info) as file:
            yield from within_bounds(pairs(file), info.filename)  # type: ignore[arg-type]
    except UNPACK_FAILURES as error:
        raise Damaged(f"{info.filename} can't be unpacked: {error}. Copy it again.") from error


@contextmanager
def unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[Path]:
    """A member as a file of our own naming, for a format that needs one."""
    with tempfile.TemporaryDirectory(prefix="mlx-hub-") as folder:
        path = Path(folder) / "member"
        with path.open("wb") as file:
            for chunk in chunks_of_member(archive, info):
                _require_disk(folder, len(chunk))
                file.write(chunk)
        yield path


def _require_disk(folder: str, wanted: int) -> None:
    if shutil.disk_usage(folder).free < wanted + 1024**3:
        raise Refused("The disk of temporary files is full. Make room, or unpack the file first.")


def _require_harmless(name: str, infos: list[zipfile.ZipInfo]) -> None:
    if len(infos) > MAX_FILES:
        raise Refused(f"{name} holds {len(infos):,} files; {MAX_FILES:,} are taken. Split it.")
    unpacked_bytes = sum(info.file_size for info in infos)
    packed = max(sum(info.compress_size for info in infos), 1)
    bomb = unpacked_bytes > BOMB_FROM_BYTES and unpacked_bytes > BOMB_RATIO * packed
    if bomb or unpacked_bytes > MAX_UNPACKED_BYTES:
        raise Refused(
            f"{name} says that it unpacks to {unpacked_bytes / 1e9:.1f} GB, "
            f"{unpacked_bytes // packed:,} times its size, as decompression bombs do. If it is "
            "real data, unpack it and import the folder."
        )


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts
