"""The disk tier: a folder of KV records and entry files, written behind.

Layout: ``<namespace>/<record>.kv`` and ``entries/<id>.entry``. Each file is
written to a temporary name and renamed, so a reader sees whole files only.

The engine's thread calls everything here; one writer thread does the writing
and deleting. A record can be read from the moment it is queued: until it is
written it is read from the queue. A failure to write is counted and logged and
costs nothing but the copy on disk. This module decides neither what is worth
keeping nor what it belongs to.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import queue
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from apps.inference.engine.prompt_cache.entry_files import (
    EntryFile,
    decode_entry,
    encode_entry,
)
from apps.inference.engine.prompt_cache.records import (
    SUFFIX,
    CorruptRecord,
    Record,
    RecordHeader,
    read_header,
    read_record,
    record_pieces,
)

logger = logging.getLogger(__name__)

_ENTRY_SUFFIX = ".entry"
_TEMPORARY_SUFFIX = ".tmp"

_MISNAMED = "its name does not fit its content"

_MAX_PENDING_BYTES = 512 * 1024 * 1024
"""KV that may wait to be written; a disk that is slower than the engine loses the rest."""


@dataclass
class _Stored:
    """A record without its tokens: thousands of prompts would fill the memory."""

    namespace: str
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
        self._queued: dict[str, Record] = {}
        self._written: queue.SimpleQueue[tuple[Record, int]] = queue.SimpleQueue()
        """Records the writer is done with, and their sizes; 0 where it failed."""
        self._jobs: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self.bytes = 0
        # Each is changed by one thread only.
        self._lost_files = self._failed_jobs = 0
        self._queued_bytes = self._handled_bytes = 0
        self._entries_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._writer = threading.Thread(target=self._work, name="prompt-cache-writer", daemon=True)
        self._writer.start()

    @property
    def errors(self) -> int:
        """Files that could not be read or written, since the start."""
        return self._lost_files + self._failed_jobs

    # --- records ------------------------------------------------------------

    def scan(self) -> Iterator[RecordHeader]:
        """Take stock at start: every readable record, each after those it goes on from.

        What can't be read, and temporary files of a writer that was killed, go.
        """
        for leftover in self._named(_TEMPORARY_SUFFIX):
            self._jobs.put(partial(self._remove, leftover))
        found: list[tuple[float, int, RecordHeader]] = []
        for path in self._named(SUFFIX):
            try:
                header, status = read_header(path), path.stat()
            except (CorruptRecord, OSError) as error:
                self._lost(path, error)
                continue
            if self._path(header.namespace, header.name) != path:
                self._lost(path, _MISNAMED)
                continue
            found.append((status.st_mtime, status.st_size, header))
        for _, size, header in sorted(found, key=lambda f: (f[0], -len(f[2].tokens))):
            self._add(header, size)
        yield from sorted((header for *_, header in found), key=lambda header: header.start)

    def write(self, record: Record) -> bool:
        """Queue a record for writing; False where too much is waiting already."""
        if self._queued_bytes - self._handled_bytes > _MAX_PENDING_BYTES:
            self._lost_files += 1
            logger.warning("prompt cache: the disk is too slow; %s not written", record.header.name)
            return False
        self._queued_bytes += record.body.nbytes
        self._queued[record.header.name] = record
        self._jobs.put(lambda: self._write_record(record))
        return True

    def settle(self) -> tuple[int, list[RecordHeader]]:
        """Take note of what the writer did: how much that was, and what it could not write."""
        count, failed = 0, list[RecordHeader]()
        while True:
            try:
                record, size = self._written.get_nowait()
            except queue.Empty:
                return count, failed
            count += 1
            name = record.header.name
            if self._queued.get(name) is not record:
                continue  # deleted since, or queued anew
            del self._queued[name]
            if not size:
                failed.append(record.header)
            elif name not in self._records:
                self._add(record.header, size)

    def holds(self, name: str) -> bool:
        """Whether the record is written, and so outlives the process."""
        return name in self._records

    def read(self, name: str) -> Record | None:
        """A record, verified; None, after removing it, where it can't be had."""
        if name in self._queued:
            return self._queued[name]
        stored = self._records.get(name)
        if stored is None:
            return None
        path = self._path(stored.namespace, name)
        try:
            record = read_record(path)
            if record.header.name != name:
                raise CorruptRecord(_MISNAMED)
        except (CorruptRecord, OSError) as error:
            self._lost(path, error)
            self._drop(name)
            return None
        return record

    def touch(self, name: str) -> None:
        """Make the record the most recently used, here and for the next start."""
        if (stored := self._records.get(name)) is not None:
            stored.used = next(self._clock)
            path = self._path(stored.namespace, name)
            self._jobs.put(lambda: os.utime(path))

    def discard(self, name: str, reason: str) -> None:
        """Delete a record that is whole and of no use: something else was lost."""
        stored = self._records.get(name)
        if stored is not None:
            self._lost(self._path(stored.namespace, name), reason)
            self._drop(name)

    def delete(self, name: str) -> None:
        """Delete a record that is no longer wanted."""
        queued, stored = self._queued.pop(name, None), self._records.get(name)
        namespace = stored.namespace if stored else queued.header.namespace if queued else None
        if stored is not None:
            self._drop(name)
        if namespace is not None:
            path = self._path(namespace, name)
            self._jobs.put(lambda: self._remove(path))

    def over_budget(self) -> tuple[str, str] | None:
        """Namespace and name of the least recently used record, while they exceed their budget."""
        if self.bytes <= self._max_bytes or not self._records:
            return None
        name, stored = min(self._records.items(), key=lambda item: item[1].used)
        return stored.namespace, name

    # --- entries ------------------------------------------------------------

    def entries(self) -> Iterator[EntryFile]:
        """Every readable entry; the others go."""
        for path in self._named(_ENTRY_SUFFIX):
            try:
                entry = decode_entry(path.read_bytes())
            except (CorruptRecord, OSError) as error:
                self._lost(path, error)
                continue
            if self._entry_path(entry.id) == path:
                yield entry
            else:
                self._lost(path, _MISNAMED)

    def save_entry(self, entry: EntryFile) -> None:
        path = self._entry_path(entry.id)
        data = encode_entry(entry)
        self._jobs.put(lambda: self._write(path, [data], len(data)))

    def discard_entry(self, entry_id: str, reason: str) -> None:
        """Delete an entry that is whole and of no use: something else was lost."""
        self._lost(self._entry_path(entry_id), reason)

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
            except OSError as error:
                self._failed_jobs += 1
                logger.warning("prompt cache: the disk failed: %s", error)
            except Exception:  # the writer must outlive any one file
                self._failed_jobs += 1
                logger.exception("prompt cache: a file could not be written")

    def _write_record(self, record: Record) -> None:
        path, size = self._path(record.header.namespace, record.header.name), 0
        try:
            size = self._write(path, record_pieces(record), record.body.nbytes)
        finally:
            self._handled_bytes += record.body.nbytes
            self._written.put((record, size))

    def _write(self, path: Path, pieces: Iterable[bytes | memoryview], about: int) -> int:
        """Bytes written, ``about`` as many as expected; 0 where there is no room for them."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        free = shutil.disk_usage(self._directory).free
        if free - about < self._min_free_bytes:
            self._failed_jobs += 1
            logger.warning("prompt cache: %s not written, only %d bytes free", path.name, free)
            return 0
        temporary = path.with_suffix(_TEMPORARY_SUFFIX)
        with temporary.open("wb") as file:
            file.writelines(pieces)
            size = file.tell()
        temporary.replace(path)
        return size

    @staticmethod
    def _remove(path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            # A folder in a file's place is none of ours, but takes the name.
            path.rmdir() if path.is_dir() else path.unlink()

    def _named(self, suffix: str) -> list[Path]:
        """Everything in the folder with this ending, as it is now; what can't be listed is not."""
        return [
            Path(folder, name)
            for folder, folders, files in os.walk(self._directory)
            for name in (*folders, *files)
            if name.endswith(suffix)
        ]

    # --- accounting ---------------------------------------------------------

    def _path(self, namespace: str, name: str) -> Path:
        return self._directory / namespace / f"{name}{SUFFIX}"

    def _add(self, header: RecordHeader, size: int) -> None:
        self._records[header.name] = _Stored(header.namespace, size, next(self._clock))
        self.bytes += size

    def _drop(self, name: str) -> None:
        self.bytes -= self._records.pop(name).size

    def _lost(self, path: Path, reason: object) -> None:
        self._lost_files += 1
        logger.warning("prompt cache: %s is unusable (%s); removing it", path.name, reason)
        self._jobs.put(lambda: self._remove(path))
