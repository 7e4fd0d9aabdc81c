"""Lines of all processes' logs, the newest first, that fit a search.

Files are read from their ends backwards, as far as it takes. What is being written, rotated
or removed meanwhile costs lines at most, never an error.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from django.conf import settings

from apps.observability.lines import LogLine, parse

PROCESSES = ("web", "engine", "worker", "hub", "trainer")
"""``hub``: the supervisor, `mlx-hub up` itself."""

SEVERITY = {"debug": 0, "info": 1, "output": 1, "warning": 2, "error": 3, "critical": 4}

MOST_BYTES = 64 * 1024 * 1024
"""Read for one search, of each process."""

MOST_TRAINERS = 20
"""The runs whose logs are read: those that were written to last."""

MOST_UNTIMED = 1000
"""Lines in a row without a time, such as a long dump, that are held until one has it."""

_BLOCK = 256 * 1024


@dataclass(frozen=True)
class Search:
    """What lines to find; empty fields leave all."""

    process: str = ""
    level: str = ""
    """The least severe one to show."""
    text: str = ""
    """What the line holds somewhere, in any case."""
    id: str = ""
    """A request's, job's or run's."""
    before: datetime | None = None
    after: datetime | None = None


@dataclass(frozen=True)
class Found:
    lines: tuple[LogLine, ...]
    """The newest first."""
    is_more: bool


def find(search: Search, *, at_most: int = 200) -> Found:
    """The newest lines that fit."""
    streams = [_fitting(source, search) for source in _sources(search.process)]
    merged = heapq.merge(*streams, key=_moment, reverse=True)
    lines = list(islice(merged, at_most + 1))
    return Found(tuple(lines[:at_most]), len(lines) > at_most)


@dataclass(frozen=True)
class _Source:
    """One process's files, the newest first."""

    process: str
    files: tuple[Path, ...]
    run: str = ""


def _sources(process: str) -> Iterator[_Source]:
    logs = Path(settings.HUB.logs_dir)
    for name in PROCESSES:
        if process in ("", name) and name != "trainer":
            current = logs / f"{name}.log"
            yield _Source(name, (current, *(logs / f"{name}.log.{old}" for old in range(1, 10))))
    if process in ("", "trainer"):
        files = sorted(Path(settings.HUB.runs_dir).glob("*/trainer.log"), key=_written_at)
        for file in files[-MOST_TRAINERS:]:
            yield _Source("trainer", (file,), run=file.parent.name)


def _fitting(source: _Source, search: Search) -> Iterator[LogLine]:
    needle, least = search.text.casefold(), SEVERITY.get(search.level, 0)
    for line in _timed(source):
        if search.after and line.time and line.time <= search.after:
            return
        if (
            (search.before is None or (line.time is not None and line.time < search.before))
            and SEVERITY.get(line.level, 1) >= least
            and (not search.id or search.id in (line.request_id, line.job, line.run))
            and (not needle or needle in _searched(line))
        ):
            yield line


def _searched(line: LogLine) -> str:
    return f"{line.message}\n{line.exception}\n{line.logger}".casefold()


def _timed(source: _Source) -> Iterator[LogLine]:
    """The source's lines, the newest first. One without a time goes with the one before it."""
    waiting: list[LogLine] = []
    for raw in _backwards(source.files):
        line = parse(raw)
        waiting.append(replace(line, process=source.process, run=line.run or source.run))
        if line.time is not None or len(waiting) > MOST_UNTIMED:
            yield from (replace(each, time=line.time) for each in waiting)
            waiting = []
    yield from waiting


def _moment(line: LogLine) -> datetime:
    return line.time or datetime.min.replace(tzinfo=UTC)


def _backwards(files: tuple[Path, ...]) -> Iterator[str]:
    """Lines from the last one of the first file on."""
    left = MOST_BYTES
    for path in files:
        try:
            with path.open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                rest = b""
                while end > 0 and left > 0:
                    begin = max(0, end - _BLOCK)
                    file.seek(begin)
                    block = file.read(end - begin) + rest
                    left, end = left - (end - begin), begin
                    rest, *whole = block.split(b"\n")
                    for raw in reversed(whole):
                        if raw:
                            yield raw.decode(errors="replace")
                if rest and end == 0:
                    yield rest.decode(errors="replace")
        except OSError:  # rotated away, or never written
            continue


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
