"""The ends of a run's growing files: its log and its events, for whoever follows them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from apps.observability.lines import readable
from apps.training.models import TrainingJob
from apps.training.trainer.events import FILE

MOST_BYTES = 64 * 1024
"""Read at a time."""

Followed = Literal["log", "events"]

_FILES: dict[Followed, str] = {"log": "trainer.log", "events": FILE}


@dataclass(frozen=True)
class Tail:
    text: str
    """Whole lines."""
    next: int
    """Bytes of the file up to their end."""


def tail(job: TrainingJob, what: Followed, *, after: int | None = None) -> Tail:
    """The lines behind the first ``after`` bytes; None: the last ones there are."""
    found = _read(job.run / _FILES[what], after)
    if what == "log":
        plain = "".join(f"{readable(line)}\n" for line in found.text.splitlines())
        return Tail(plain, found.next)
    return found


def _read(path: Path, after: int | None) -> Tail:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            # A file that is shorter than what was read of it has begun anew.
            begin = max(size - MOST_BYTES, 0) if after is None or after > size else after
            file.seek(begin)
            data = file.read(MOST_BYTES)
    except FileNotFoundError:
        return Tail("", 0)
    if after is None and begin:
        cut = data.find(b"\n") + 1
        begin, data = begin + cut, data[cut:]
    end = data.rfind(b"\n") + 1
    # A line that does not fit is told in pieces; one that is being written has to wait.
    whole = data if len(data) == MOST_BYTES and not end else data[:end]
    return Tail(whole.decode(errors="replace"), begin + len(whole))
