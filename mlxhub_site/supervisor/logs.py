"""What a process prints, as JSON lines in a file of limited size, with the last lines at hand."""

from __future__ import annotations

import logging
import re
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

from apps.observability.lines import readable, wrapped

MAX_BYTES = 5 * 1024 * 1024
"""Size at which a log file is put aside and a new one begun."""

BACKUPS = 3
"""Older files kept beside the current one."""

LONGEST_LINE = 64 * 1024
"""Bytes after which a line is broken, so that no output can fill the memory."""

TAIL_LINES = 8
"""Lines kept for the report of a crash."""

_line_ends = re.compile(rb"[\r\n]+")


class _LogFile(RotatingFileHandler):
    """A log file; what a full disk refuses of it is dropped without a word to the terminal."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


class ProcessLog:
    """The log of one process. Written by one thread at a time."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path
        self._file = _LogFile(
            path, maxBytes=max_bytes, backupCount=BACKUPS, encoding="utf-8", delay=True
        )
        self._rest = b""
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)

    def feed(self, chunk: bytes) -> None:
        """Take what the process printed next; whole lines reach the file at once."""
        *lines, self._rest = _line_ends.split(self._rest + chunk)
        if len(self._rest) > LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._write(line)

    def end(self) -> None:
        """The process is gone: its last line may lack a newline."""
        if self._rest:
            self._write(self._rest)
        self._rest = b""
        with suppress(OSError):  # a full disk
            self._file.close()

    def take_tail(self) -> list[str]:
        """The last lines since this was asked before."""
        tail = list(self._tail)
        self._tail.clear()
        return tail

    def _write(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text:
            self._tail.extend(readable(text).splitlines())
            kept = wrapped(text, process=self.path.stem, now=datetime.now(UTC))
            self._file.emit(logging.makeLogRecord({"msg": kept}))
