from __future__ import annotations

import os
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import psutil

from apps.inference.client import EngineError
from mlxhub_site.soak.hub import SoakedHub
from mlxhub_site.soak.watching import Watch


@dataclass
class Hub:
    """A hub whose engine is this process, and says that so many of its bytes are arrays."""

    arrays: int = 1000
    silent: bool = False
    pids: dict[str, int] = field(default_factory=lambda: {"engine": os.getpid()})

    def processes(self) -> dict[str, int]:
        return self.pids

    @property
    def engine(self) -> Any:
        return self

    def status(self) -> SimpleNamespace:
        if self.silent:
            raise EngineError("engine_unavailable", "It does not answer.")
        return SimpleNamespace(active_memory_bytes=self.arrays)


def look(watch: Watch, hub: Hub) -> None:
    watch.look(cast(SoakedHub, hub))


def test_a_look_takes_every_measure_of_a_process_at_once() -> None:
    watch = Watch()
    look(watch, Hub())
    (seen,) = watch.processes.values()
    assert len(seen.at) == len(seen.rss) == len(seen.descriptors) == len(seen.threads) == 1
    assert seen.rss[0] > psutil.Process().memory_info().rss / 2


def test_what_the_engine_holds_beside_its_arrays_is_kept() -> None:
    watch = Watch()
    look(watch, Hub(arrays=1000))
    assert watch.beside_arrays[0][1] == watch.processes["engine"].rss[0] - 1000


def test_an_engine_that_does_not_answer_is_asked_again_at_the_next_look() -> None:
    watch, hub = Watch(), Hub(silent=True)
    look(watch, hub)
    assert watch.beside_arrays == []
    hub.silent = False
    look(watch, hub)
    assert len(watch.beside_arrays) == 1


def test_a_process_that_was_replaced_is_lost_and_its_successor_watched() -> None:
    watch, hub = Watch(), Hub()
    look(watch, hub)
    hub.pids["engine"] = os.getppid()
    look(watch, hub)
    assert watch.lost == [f"engine ({os.getpid()})"]
    assert watch.processes["engine"].pid == os.getppid()
