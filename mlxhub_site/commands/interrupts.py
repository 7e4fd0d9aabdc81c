"""Ctrl-C as a wish, for commands that carry out a job."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

SAME_SIGNAL = 0.5
"""Seconds in which another signal is the same wish: a launcher and a terminal both pass it on."""

_seen: ContextVar[threading.Event | None] = ContextVar("seen", default=None)
"""Set once Ctrl-C has ended something that the running command was at."""


@contextmanager
def one_command() -> Iterator[Callable[[], bool]]:
    """What it yields tells whether Ctrl-C has ended something within the block."""
    seen = threading.Event()
    token = _seen.set(seen)
    try:
        yield seen.is_set
    finally:
        _seen.reset(token)


@contextmanager
def interrupts() -> Iterator[threading.Event]:
    """Set by Ctrl-C, which so ends the job rather than the process in the middle of it.

    Who doesn't want to wait for that asks again, which raises KeyboardInterrupt.
    """
    interrupted = threading.Event()
    first = 0.0

    def on_signal(*_: object) -> None:
        nonlocal first
        if not interrupted.is_set():
            first = time.monotonic()
            interrupted.set()
        elif time.monotonic() - first > SAME_SIGNAL:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
        if interrupted.is_set() and (seen := _seen.get()) is not None:
            seen.set()


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
