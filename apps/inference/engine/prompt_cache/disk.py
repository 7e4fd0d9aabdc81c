"""The disk tier: a folder of KV records and entry files, written behind.

Layout: ``<namespace>/<record>.kv`` and ``entries/<id>.entry``. Each file is
written to a temporary name and renamed, so a reader sees whole files only.

The engine's thread calls everything here; one writer thread does the writing
and deleting, and hands back what it finished through ``finished``. A failure to
write is counted and logged and costs nothing but the copy on disk. This module
decides neither what is worth keeping nor what it belongs to.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import os
import queue
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from apps.inference.engine.prompt_cache.entries import Kind
from apps.inference.engine.prompt_cache.records import (
    SUFFIX,
    CorruptRecord,
    Record,
    RecordHeader,
    encode_record,
    read_header,
    read_record,
)

logger = logging.getLogger(__name__)

_ENTRY_SUFFIX = ".entry"


@dataclass(frozen=True)
class EntryFile:
    """An entry as it outlives the process."""

    id: str
    namespace: str
    kind: Kind
    model: str
    model_digest: str
    preview: str
    tokens: tuple[int, ...]
    pinned: bool
    hits: int
    created_at: float
    last_used_at: float


@dataclass
class _Stored:
    header: RecordHeader
    size: int
    used: int


class DiskTier:
    def __init__(self, directory: Path, *, max_bytes: int, min_free_bytes: int) -> None:
        self._directory = directory
        self._entries_directory = directory / "entries"
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._records: dict[str, _Stored] = {}
        self._clock = itertools.count(1)
        self._finished: queue.SimpleQueue[tuple[RecordHeader, int]] = queue.SimpleQueue()
        self._jobs: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self.bytes = 0
        self.errors = 0
        self._entries_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._writer = threading.Thread(target=self._work, name="prompt-cache-writer", daemon=True)
        self._writer.start()

    # --- records ------------------------------------------------------------

    def scan(self) -> Iterator[RecordHeader]:
        """Take stock at start: every readable record, shortest prompts first.

        What can't be read, and temporary files of a writer that was killed, go.
        """
        for leftover in self._directory.rglob("*.tmp"):
            self._remove(leftover)
        found: list[tuple[float, int, RecordHeader]] = []
        for path in self._directory.glob(f"*/*{SUFFIX}"):
            try:
                header, status = read_header(path), path.stat()
            except (CorruptRecord, OSError) as error:
                self._lost(path, error)
                continue
            if self._path(header) != path:
                self._lost(path, CorruptRecord("the name does not fit the content"))
                continue
            found.append((status.st_mtime, status.st_size, header))
        for _, size, header in sorted(found, key=lambda f: (f[0], -len(f[2].tokens))):
            self._add(header, size)
        yield from sorted((header for *_, header in found), key=lambda header: header.start)

    def write(self, record: Record) -> None:
        """Queue a record for writing; ``finished`` tells when it is there."""
        self._jobs.put(lambda: self._write_record(record))

    def finished(self) -> Iterator[RecordHeader]:
        """Records written since the last call."""
        while True:
            try:
                header, size = self._finished.get_nowait()
            except queue.Empty:
                return
            if header.name not in self._records:
                self._add(header, size)
            yield header

    def read(self, name: str) -> Record | None:
        """A record, verified; None, after removing it, where it can't be had."""
        stored = self._records.get(name)
        if stored is None:
            return None
        path = self._path(stored.header)
        try:
            record = read_record(path)
            if record.header != stored.header:
                raise CorruptRecord("not the record it was")
        except (CorruptRecord, OSError) as error:
            self._lost(path, error)
            self._drop(name)
            return None
        return record

    def touch(self, name: str) -> None:
        """Make the record the most recently used, here and for the next start."""
        if (stored := self._records.get(name)) is not None:
            stored.used = next(self._clock)
            path = self._path(stored.header)
            self._jobs.put(lambda: os.utime(path))

    def delete(self, name: str) -> None:
        stored = self._records.get(name)
        if stored is not None:
            path = self._path(stored.header)
            self._drop(name)
            self._jobs.put(lambda: self._remove(path))

    def over_budget(self) -> RecordHeader | None:
        """The least recently used record, while the records exceed their budget."""
        if self.bytes <= self._max_bytes or not self._records:
            return None
        return min(self._records.values(), key=lambda stored: stored.used).header

    # --- entries ------------------------------------------------------------

    def entries(self) -> Iterator[EntryFile]:
        """Every readable entry; the others go."""
        for path in self._entries_directory.glob(f"*{_ENTRY_SUFFIX}"):
            try:
                yield _decode_entry(path.read_bytes())
            except (CorruptRecord, OSError) as error:
                self._lost(path, error)

    def save_entry(self, entry: EntryFile) -> None:
        path = self._entry_path(entry.id)
        self._jobs.put(lambda: self._write(path, _encode_entry(entry)))

    def delete_entry(self, entry_id: str) -> None:
        path = self._entry_path(entry_id)
        self._jobs.put(lambda: self._remove(path))

    def _entry_path(self, entry_id: str) -> Path:
        return self._entries_directory / f"{entry_id}{_ENTRY_SUFFIX}"

    # --- writer thread ------------------------------------------------------

    def flush(self, timeout: float) -> bool:
        """Wait until everything queued so far is written; False where it takes longer."""
        done = threading.Event()
        self._jobs.put(done.set)
        return done.wait(timeout)

    def close(self, timeout: float) -> None:
        """Write what is queued and end the writer; what takes longer is given up."""
        self._jobs.put(None)
        self._writer.join(timeout)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:  # the writer must outlive any one file
                self.errors += 1
                logger.exception("prompt cache: a file could not be written")

    def _write_record(self, record: Record) -> None:
        path = self._path(record.header)
        data = encode_record(record)
        if self._write(path, data):
            self._finished.put((record.header, len(data)))

    def _write(self, path: Path, data: bytes) -> bool:
        free = shutil.disk_usage(self._directory).free
        if free - len(data) < self._min_free_bytes:
            self.errors += 1
            logger.warning("prompt cache: %s not written, only %d bytes free", path.name, free)
            return False
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(data)
        temporary.replace(path)
        return True

    @staticmethod
    def _remove(path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()

    # --- accounting ---------------------------------------------------------

    def _path(self, header: RecordHeader) -> Path:
        return self._directory / header.namespace / f"{header.name}{SUFFIX}"

    def _add(self, header: RecordHeader, size: int) -> None:
        self._records[header.name] = _Stored(header, size, next(self._clock))
        self.bytes += size

    def _drop(self, name: str) -> None:
        self.bytes -= self._records.pop(name).size

    def _lost(self, path: Path, error: Exception) -> None:
        self.errors += 1
        logger.warning("prompt cache: %s is unusable (%s); removing it", path.name, error)
        self._jobs.put(lambda: self._remove(path))


_entry_files = TypeAdapter(EntryFile)


def _encode_entry(entry: EntryFile) -> bytes:
    """One line with the digest of the next, which is the entry as JSON."""
    body = _entry_files.dump_json(entry)
    return hashlib.blake2b(body, digest_size=32).hexdigest().encode() + b"\n" + body


def _decode_entry(data: bytes) -> EntryFile:
    digest, _, body = data.partition(b"\n")
    if hashlib.blake2b(body, digest_size=32).hexdigest().encode() != digest:
        raise CorruptRecord("digest differs")
    try:
        return _entry_files.validate_json(body)
    except ValidationError as error:
        raise CorruptRecord("entry unreadable") from error
