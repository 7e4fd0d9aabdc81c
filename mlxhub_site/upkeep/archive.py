"""A backup's format: a tar archive, compressed with Zstandard, whose last file lists the others.

Any tar program with Zstandard reads it. This reader takes a small part of what tar can hold,
so that an archive from elsewhere can do no harm: regular files under the names of a data
folder, each once. Links, devices, absolute names and names that leave the folder are refused,
and nothing is ever held in memory that an archive may choose the size of.

Format: https://www.gnu.org/software/tar/manual/html_node/Standard.html, names in UTF-8.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

import zstandard
from pydantic import ValidationError

from mlxhub_site.upkeep.contents import FILES, FOLDERS
from mlxhub_site.upkeep.errors import BadArchive, FileChanged
from mlxhub_site.upkeep.manifest import MANIFEST, FileFacts, Manifest

BLOCK = tarfile.BLOCKSIZE
CHUNK = 1024 * 1024
LEVEL = 3
MAX_NAME_BYTES = 4096
MAX_MANIFEST_BYTES = 256 * 1024 * 1024
MAX_FILES = 1_000_000
MAX_WINDOW_BYTES = 128 * 1024 * 1024
"""Of the decompressor's memory; this writer needs a tenth of it."""

MAX_PADDING = 64 * 1024
"""Zeros after the archive's end: tar programs fill their last record with them."""

_REGULAR = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE})

Passed = Callable[[int], None]
"""Called with the number of bytes that went by."""


class Source(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class ArchiveWriter:
    """Writes members one after another. ``facts`` are what the manifest is to say of them."""

    def __init__(self, out: BinaryIO) -> None:
        self.facts: dict[str, FileFacts] = {}
        self._out = out

    def add(self, name: str, path: Path, *, passed: Passed = lambda _: None) -> None:
        """A file as long as it is now. Raises FileNotFoundError, and FileChanged where it shrinks."""
        with path.open("rb") as file:
            self._member(name, file, os.fstat(file.fileno()).st_size, passed)

    def finish(self, manifest: Manifest) -> None:
        """The last member, and the archive's end."""
        text = manifest.model_dump_json(indent=1).encode()
        self._member(MANIFEST, io.BytesIO(text), len(text), lambda _: None)
        self._out.write(bytes(2 * BLOCK))

    def _member(self, name: str, file: Source, size: int, passed: Passed) -> None:
        header = tarfile.TarInfo(name)
        header.size, header.mode, header.mtime = size, 0o600, int(time.time())
        self._out.write(header.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict"))
        digest, left = hashlib.sha256(), size
        while left:
            chunk = file.read(min(CHUNK, left))
            if not chunk:
                raise FileChanged(f"{name} became shorter while it was read. Try again.")
            digest.update(chunk)
            self._out.write(chunk)
            left -= len(chunk)
            passed(len(chunk))
        self._out.write(bytes(-size % BLOCK))
        self.facts[name] = FileFacts(size=size, sha256=digest.hexdigest())


@contextmanager
def written(path: Path) -> Iterator[ArchiveWriter]:
    """A new archive, readable by its owner alone, and on the disk when the block ends well."""
    with _private(path) as file:
        compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        with compressor.stream_writer(file, closefd=False) as out:
            yield ArchiveWriter(out)
        file.flush()
        os.fsync(file.fileno())


@dataclass(frozen=True)
class Member:
    """A file in an archive. ``chunks`` gives its content, once, before the next member."""

    name: str
    size: int
    chunks: Iterator[bytes]


def verify(path: Path, *, room: int, passed: Passed = lambda _: None) -> Manifest:
    """Read the whole archive and write nothing; what its manifest says, which is then true.

    ``room``: bytes that its files may have in all. ``passed`` counts compressed bytes.
    Raises BadArchive, OSError.
    """
    found: dict[str, FileFacts] = {}
    manifest: Manifest | None = None
    with path.open("rb") as file:
        for member in _members(_Counted(file, passed)):
            if manifest is not None:
                raise BadArchive(f"{path} goes on after its manifest. It was tampered with.")
            room -= member.size
            if room < 0:
                raise BadArchive(
                    f"What is in {path} is larger than the free disk space. Make room first."
                )
            if member.name == MANIFEST:
                manifest = _manifest(member)
            else:
                found[member.name] = _facts(member)
    if manifest is None:
        raise BadArchive(f"{path} ends too early: it was cut short, or is no backup of a hub.")
    if found != manifest.files:
        raise BadArchive(f"{_difference(found, manifest.files)} Use another backup.")
    return manifest


def extract(path: Path, into: Path, manifest: Manifest, *, passed: Passed = lambda _: None) -> None:
    """Write the files of a verified archive below ``into``, an empty folder. Raises BadArchive.

    Each is hashed again: the archive may have changed since.
    """
    with path.open("rb") as file:
        for member in _members(_Counted(file, passed)):
            if member.name == MANIFEST:
                return
            target = into / member.name
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            digest = hashlib.sha256()
            with _private(target) as out:
                for chunk in member.chunks:
                    digest.update(chunk)
                    out.write(chunk)
            facts = manifest.files.get(member.name)
            if facts is None or facts.sha256 != digest.hexdigest():
                raise BadArchive(f"{path} changed while it was restored. Try again.")


class _Counted:
    """A file that tells how much was read of it."""

    def __init__(self, file: BinaryIO, passed: Passed) -> None:
        self._file = file
        self._passed = passed

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._file.read(size)
        self._passed(len(chunk))
        return chunk


def _members(file: Source) -> Iterator[Member]:
    """Raises BadArchive for everything that this hub would not have written."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    seen: set[str] = set()
    with decompressor.stream_reader(file) as stream:  # type: ignore[arg-type]  # it only reads
        try:
            while (header := _header(stream)) is not None:
                name = _checked_name(header.name)
                if name in seen or len(seen) >= MAX_FILES:
                    raise BadArchive(f"It holds {name!r} twice, or too many files.")
                seen.add(name)
                chunks = _content(stream, header.size)
                yield Member(name, header.size, chunks)
                for _ in chunks:  # whatever of it was not wanted
                    pass
                _exactly(stream, -header.size % BLOCK)
            _end(stream)
        except zstandard.ZstdError as error:
            raise BadArchive(f"It is damaged, or no backup of a hub: {error}.") from error


def _end(stream: Source) -> None:
    """Read on to the very end, which has the decompressor compare its checksum."""
    for _ in range(MAX_PADDING // BLOCK):
        block = stream.read(BLOCK)
        if not block:
            return
        if any(block):
            break
    raise BadArchive("It goes on after its end. It was tampered with.")


def _header(stream: Source) -> tarfile.TarInfo | None:
    """The next regular file's; None at the archive's end."""
    header = _parsed(_exactly(stream, BLOCK))
    if header is None:
        return None
    if header.type != tarfile.GNUTYPE_LONGNAME:
        return header
    if not 0 < header.size <= MAX_NAME_BYTES:
        raise BadArchive("It holds a name that is too long.")
    name = _exactly(stream, header.size)
    _exactly(stream, -header.size % BLOCK)
    following = _parsed(_exactly(stream, BLOCK))
    if following is None or following.type not in _REGULAR:
        raise BadArchive("It holds a name without a file.")
    following.name = _text(name.rstrip(b"\0"))
    return following


def _parsed(block: bytes) -> tarfile.TarInfo | None:
    if not any(block):
        return None
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError, ValueError) as error:
        raise BadArchive(f"It is damaged: {error}.") from error
    if header.type not in _REGULAR and header.type != tarfile.GNUTYPE_LONGNAME:
        raise BadArchive(f"{header.name!r} in it is no regular file: a link or a device.")
    if header.size < 0:
        raise BadArchive(f"{header.name!r} in it has no size.")
    return header


def _checked_name(name: str) -> str:
    path = PurePosixPath(name)
    top, inside = path.parts[:1], path.parts[1:]
    is_plain = str(path) == name and name.isprintable() and not {"..", "."} & set(path.parts)
    if not top or not is_plain or "\\" in name or not _belongs(top[0], inside):
        raise BadArchive(f"{name[:200]!r} in it is no file of a data folder.")
    return name


def _belongs(top: str, inside: tuple[str, ...]) -> bool:
    return bool(inside) if top in FOLDERS else top in (*FILES, MANIFEST) and not inside


def _content(stream: Source, size: int) -> Iterator[bytes]:
    while size:
        chunk = stream.read(min(CHUNK, size))
        if not chunk:
            raise BadArchive("It ends too early: it was cut short.")
        size -= len(chunk)
        yield chunk


def _exactly(stream: Source, size: int) -> bytes:
    return b"".join(_content(stream, size))


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise BadArchive(f"It is damaged: {error}.") from error


def _facts(member: Member) -> FileFacts:
    digest = hashlib.sha256()
    for chunk in member.chunks:
        digest.update(chunk)
    return FileFacts(size=member.size, sha256=digest.hexdigest())


def _manifest(member: Member) -> Manifest:
    if member.size > MAX_MANIFEST_BYTES:
        raise BadArchive("Its manifest is too large.")
    try:
        return Manifest.model_validate_json(b"".join(member.chunks))
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise BadArchive(
            f"Its manifest is not as this version writes them ({place}: {problem['msg']}). It may "
            "be of a newer version: update the hub first."
        ) from error


def _difference(found: dict[str, FileFacts], listed: dict[str, FileFacts]) -> str:
    if missing := sorted(listed.keys() - found.keys()):
        return f"It lacks {missing[0]}, which its manifest lists."
    if extra := sorted(found.keys() - listed.keys()):
        return f"It holds {extra[0]}, which its manifest does not list."
    changed = next(name for name in sorted(found) if found[name] != listed[name])
    return f"{changed} in it is damaged: its content does not have the hash that was written down."


def _private(path: Path) -> BinaryIO:
    """A new file for its owner alone."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
