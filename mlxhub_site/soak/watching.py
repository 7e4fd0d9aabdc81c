"""What each of the hub's processes holds, again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil

from apps.inference.client import EngineError
from mlxhub_site.soak.hub import SoakedHub

LOOK_SECONDS = 5.0
DISK_EVERY = 6
"""Looks at the processes for each at the disk, which takes longer."""


@dataclass
class Watched:
    """Samples of one process; a list per measure, alike in length."""

    pid: int
    at: list[float] = field(default_factory=list)
    """Seconds, of the monotonic clock."""
    rss: list[int] = field(default_factory=list)
    """Bytes."""
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)


@dataclass
class Watch:
    begun: float = field(default_factory=time.monotonic)
    processes: dict[str, Watched] = field(default_factory=dict)
    disk: list[tuple[float, int]] = field(default_factory=list)
    """When, and bytes in the hub's folder."""
    beside_arrays: list[tuple[float, int]] = field(default_factory=list)
    """When, and bytes of the engine's resident memory that are no arrays of MLX.

    Weights, KV and caches are arrays: how many there are follows the load. What is left is
    the process itself, the heap's holes, and what was forgotten.
    """
    lost: list[str] = field(default_factory=list)
    """Processes that ended, which none should."""

    def look(self, hub: SoakedHub) -> None:
        """Take a sample of every process."""
        now = time.monotonic()
        for name, pid in hub.processes().items():
            known = self.processes.setdefault(name, Watched(pid))
            if known.pid != pid:
                self.lost.append(f"{name} ({known.pid})")
                known = self.processes[name] = Watched(pid)
            try:
                process = psutil.Process(pid)
                with process.oneshot():
                    figures = process.memory_info().rss, process.num_fds(), process.num_threads()
            except psutil.Error:
                continue  # the next look finds the one in its place
            known.at.append(now)
            for series, figure in zip(
                (known.rss, known.descriptors, known.threads), figures, strict=True
            ):
                series.append(figure)
        self._look_beside_arrays(hub, now)

    def _look_beside_arrays(self, hub: SoakedHub, now: float) -> None:
        with suppress(EngineError, KeyError, IndexError):  # the next look may tell
            arrays = hub.engine.status().active_memory_bytes
            self.beside_arrays.append((now, self.processes["engine"].rss[-1] - arrays))


@contextmanager
def watched(hub: SoakedHub) -> Iterator[Watch]:
    """Samples until the block is left."""
    watch, over = Watch(), threading.Event()

    def look_on() -> None:
        looks = 0
        while True:
            watch.look(hub)
            if looks % DISK_EVERY == 0:
                watch.disk.append((time.monotonic(), hub.disk_bytes))
            looks += 1
            if over.wait(LOOK_SECONDS):
                return

    thread = threading.Thread(target=look_on, name="soak watch")
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()
