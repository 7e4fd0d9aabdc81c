"""Ctrl-C as a wish, for commands that carry out a job."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interrupts() -> Iterator[threading.Event]:
    """Set by Ctrl-C, which so ends the job rather than the process in the middle of it."""
    interrupted = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def once_interrupted(interrupted: threading.Event, act: Callable[[], object]) -> Iterator[None]:
    """Call ``act`` in a thread of its own as soon as the event is set, while the block lasts.

    Not in the signal's handler, which may come in the middle of a database call.
    """
    over = threading.Event()

    def wait() -> None:
        interrupted.wait()
        if not over.is_set():
            act()

    thread = threading.Thread(target=wait, name="interrupt", daemon=True)
    thread.start()
    try:
        yield
    finally:
        asked = interrupted.is_set()
        over.set()
        interrupted.set()
        thread.join()
        if not asked:
            interrupted.clear()
