"""What the run's starter asks of it, over standard input: one word per line.

    stop    save a checkpoint and the result, and end
    cancel  end at once

An end of the input means that the starter is gone; then the run saves a checkpoint
and ends, for whoever takes it up again. SIGTERM and SIGINT mean ``stop``.

Ranks of a run on several machines have no such input. For them the wish is posted in the
run's folder, again and again; where that ends, the starter is gone.
"""

from __future__ import annotations

import signal
import threading
import time
from enum import Enum
from pathlib import Path
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


class PostedControl(Control):
    """What was posted last in a run's folder."""

    FILE = "wish"

    SILENCE = 60.0
    """Seconds without a post after which whoever posted is taken for gone."""

    LOOK_SECONDS = 0.2

    def __init__(self, run: Path) -> None:
        super().__init__()
        self._path = run / self.FILE
        self._looked = 0.0

    @classmethod
    def post(cls, run: Path, wish: Wish) -> None:
        """Say what is wanted. Raises OSError."""
        staged = run / f".{cls.FILE}.new"
        staged.write_text(wish.value)
        staged.rename(run / cls.FILE)

    def look(self) -> Wish:
        """What is wanted now, or was a moment ago."""
        if time.monotonic() - self._looked > self.LOOK_SECONDS:
            self._looked = time.monotonic()
            posted = self._path.stat().st_mtime
            late = time.time() - posted > self.SILENCE
            self._ask(Wish.ABANDONED if late else Wish(self._path.read_text()))
        return super().look()
