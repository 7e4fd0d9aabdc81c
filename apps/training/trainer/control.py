"""What the run's starter asks of it, over standard input: one word per line.

    stop    save a checkpoint and the result, and end
    cancel  end at once

An end of the input means that the starter is gone; then the run saves a checkpoint
and ends, for whoever takes it up again. SIGTERM and SIGINT mean ``stop``.
"""

from __future__ import annotations

import signal
import threading
from enum import Enum
from typing import IO


class Wish(Enum):
    GO_ON = "go on"
    STOP = "stop"
    CANCEL = "cancel"
    ABANDONED = "abandoned"


class Control:
    """What was asked last."""

    def __init__(self) -> None:
        self._wish = Wish.GO_ON

    def look(self) -> Wish:
        """What is wanted now."""
        return self._wish

    def listen(self, stream: IO[str]) -> None:
        """Take wishes from ``stream`` and from signals, from now on."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._ask(Wish.STOP))
        threading.Thread(target=self._read, args=(stream,), name="control", daemon=True).start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            if line.strip() in (Wish.STOP.value, Wish.CANCEL.value):
                self._ask(Wish(line.strip()))
        self._ask(Wish.ABANDONED)

    def _ask(self, wish: Wish) -> None:
        # Nothing weakens a wish: a starter that asked to cancel may be gone by now.
        if self._wish is Wish.GO_ON or wish is Wish.CANCEL:
            self._wish = wish
