"""The text of one answer while it is being written, and who follows it.

One thread writes; any number of followers, in threads or event loops, read.
A follower holds an *offset*: how many characters it has. Whatever it missed,
and however often it comes back, ``since(offset)`` gives exactly the rest, so
nothing is kept per follower and a slow one costs nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

Phase = Literal["waiting", "loading", "reading", "writing"]


@dataclass(frozen=True)
class Progress:
    """What the engine does for the answer; ``done`` and ``total`` are prompt tokens."""

    phase: Phase = "waiting"
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class View:
    """What a follower at ``offset`` has not seen yet."""

    text: str
    offset: int
    """The offset once ``text`` is read."""
    progress: Progress
    settled: bool
    """No more text comes, and all of it is stored."""


class Transcript:
    """Append-only text with progress, safe to share between threads."""

    def __init__(self, text: str = "") -> None:
        """``text``: what was written before, where an answer goes on."""
        self._lock = threading.Lock()
        self._text = text
        self._progress = Progress()
        self._settled = False
        self._over = threading.Event()
        self._wakes: set[Callable[[], None]] = set()

    def append(self, text: str) -> None:
        """Add what the model wrote next."""
        with self._lock:
            self._text += text
            self._progress = Progress("writing")
        self._wake()

    def advance(self, progress: Progress) -> None:
        """Say what the engine does before the first word."""
        with self._lock:
            self._progress = progress
        self._wake()

    def settle(self) -> None:
        """Say that nothing more comes and that the result is stored."""
        with self._lock:
            self._settled = True
        self._over.set()
        self._wake()

    def wait(self, timeout: float) -> bool:
        """Whether it is settled within ``timeout`` seconds."""
        return self._over.wait(timeout)

    def since(self, offset: int) -> View:
        """The text from ``offset`` on; an offset past the end counts as the end."""
        with self._lock:
            text = self._text[offset:]
            return View(text, len(self._text), self._progress, self._settled)

    @property
    def text(self) -> str:
        return self._text

    @contextmanager
    def following(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call ``wake`` after every change, from the writing thread; it must not block."""
        with self._lock:
            self._wakes.add(wake)
        try:
            yield
        finally:
            with self._lock:
                self._wakes.discard(wake)

    def _wake(self) -> None:
        with self._lock:
            wakes = tuple(self._wakes)
        for wake in wakes:
            wake()
