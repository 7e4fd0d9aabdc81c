"""One trainer at a time in a run's folder, also where its worker was killed.

The trainer inherits the lock's file and holds it until it is really gone: it outlives a
worker that was killed for as long as its present step and its checkpoint take.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil

FILE = "trainer.lock"
WAITS = "an earlier trainer saves what it had learnt"

LOOK_SECONDS = 0.1
PATIENCE_SECONDS = 120.0
"""That an earlier trainer may take to save; then it is ended."""


@contextmanager
def alone_in(run: Path, report: Callable[[str], None]) -> Iterator[IO[str]]:
    """Wait until no other trainer is at work in the folder; the file is for ``mark``.

    What ``report`` raises while it waits ends that.
    """
    with (run / FILE).open("a+") as lock:
        patience = time.monotonic() + PATIENCE_SECONDS
        while not _taken(lock):
            report(WAITS)
            if time.monotonic() > patience:
                _end_holder(lock)
            time.sleep(LOOK_SECONDS)
        yield lock


def mark(lock: IO[str], pid: int) -> None:
    """Write down which process holds the lock beside this one."""
    lock.truncate(0)
    lock.write(f"{pid} {psutil.Process(pid).create_time()}")
    lock.flush()


def _taken(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _end_holder(lock: IO[str]) -> None:
    lock.seek(0)
    pid, _, started = lock.read().partition(" ")
    with suppress(ValueError, psutil.Error):
        holder = psutil.Process(int(pid))
        if holder.create_time() == float(started):
            holder.kill()
