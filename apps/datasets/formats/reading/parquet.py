"""Parquet, read by a process of its own.

A footer may claim sizes that no machine has; the library then ends the whole process.
So it does that to one that has nothing to lose, and that ends itself where it takes more
memory than a file like it needs.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import psutil

from apps.datasets.formats.errors import Damaged, Refused
from apps.datasets.formats.limits import CHUNK_BYTES, MAX_COLUMNS, MAX_PARQUET_MEMORY
from apps.datasets.formats.reading.json_lines import read_json_lines
from apps.datasets.formats.reading.records import Read, Record
from apps.datasets.formats.reading.streams import within_bounds

_MAGIC = b"PAR1"
_ADDRESS_SPACE = 8 * 1024**3
"""Of the reading process; most of it is reserved by threads and never touched."""
_WATCH_SECONDS = 0.02
_REFUSED = 3
"""Exit status of a file that is refused; the message is the last line of standard error."""


def read_parquet(path: Path) -> Iterator[Read]:
    """Rows as records; ``line`` is the row. Raises Damaged, Refused."""
    _require_frame(path)
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
            [sys.executable, "-m", __name__, str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=os.environ | {"POLARS_MAX_THREADS": "2"},
        )
        rows = process.stdout
        assert rows is not None
        size = path.stat().st_size
        pairs = ((chunk, size) for chunk in iter(lambda: rows.read(CHUNK_BYTES), b""))
        try:
            for read in read_json_lines(within_bounds(pairs, path.name)):
                yield _plain(read)
            _require_end(path, process, complaints)
        finally:
            process.kill()
            process.wait()
            rows.close()


def _plain(read: Read) -> Read:
    """A record without the fields that only other rows have.

    A column of objects has one set of fields for all rows: a message has the null of
    another's tool calls, a tool the null of another's parameter.
    """
    if not isinstance(read, Record):
        return read
    return Record(read.line, {name: _present(value) for name, value in read.value.items()})


def _present(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _present(each) for name, each in value.items() if each is not None}
    return [_present(each) for each in value] if isinstance(value, list) else value


def _require_frame(path: Path) -> None:
    """Raises Damaged where the file does not begin and end as one of this format does."""
    size = path.stat().st_size
    with path.open("rb") as file:
        whole = size > 12 and file.read(4) == _MAGIC
        file.seek(max(size - 8, 0))
        tail = file.read(8)
    footer = int.from_bytes(tail[:4], "little")
    if not whole or tail[4:] != _MAGIC or footer > size - 12:
        raise Damaged(
            f"{path.name} is no whole Parquet file: its footer is missing or lies. It may be cut "
            "off; copy it again."
        )


def _require_end(path: Path, process: subprocess.Popen[bytes], complaints: IO[bytes]) -> None:
    if process.wait() == 0:
        return
    complaints.seek(0)
    words = complaints.read(100_000).decode(errors="replace").strip().splitlines()
    if process.returncode == _REFUSED and words:
        raise Refused(words[-1])
    why = words[-1] if words else "it asks for more memory than a file like it needs"
    raise Damaged(f"{path.name} can't be read as Parquet: {why[:300]}. Copy or export it again.")


def _write_rows(path: str) -> None:
    """In the process of its own: the rows of ``path`` as JSON Lines on standard output."""
    _bound_memory()
    import polars as pl  # once the bound is set

    schema = pl.read_parquet_schema(path)
    if len(schema) > MAX_COLUMNS:
        _refuse(
            f"The table has {len(schema):,} columns; {MAX_COLUMNS:,} are taken. Leave out those "
            "that nothing is to be learnt from."
        )
    columns = [name for name, kind in schema.items() if kind != pl.Binary]
    pl.scan_parquet(path).select(columns).sink_ndjson(sys.stdout.buffer)


def _bound_memory() -> None:
    """Have this process end before it takes more than MAX_PARQUET_MEMORY."""
    if sys.platform == "linux":  # others take the call for an error, or don't keep to it
        resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    process = psutil.Process()
    while process.memory_info().rss < MAX_PARQUET_MEMORY:
        time.sleep(_WATCH_SECONDS)
    _refuse(
        f"To read this file takes more than {MAX_PARQUET_MEMORY / 1e9:.0f} GB of memory: its row "
        "groups are too large, or it lies about them. Export it with smaller row groups, or as "
        "JSON Lines."
    )


def _refuse(why: str) -> None:
    """End the process at once, whatever its other threads are at."""
    os.write(2, f"{why}\n".encode())
    os._exit(_REFUSED)


if __name__ == "__main__":
    _write_rows(sys.argv[1])
