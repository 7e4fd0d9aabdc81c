"""One short look at the engine, for pages that must not wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from apps.inference.client import EngineError
from apps.inference.engine.protocol import CacheStats, GetCacheStats, Status
from apps.inference.services import glancing_engine

STALLED_AFTER = 30.0
"""Seconds without a turn of the engine's loop, work waiting, that count as stalled."""

STALLED_LOADING_AFTER = 300.0
"""The same while a model is being loaded: a slow disk may take long over one layer."""

_WHAT_TO_DO = "Restart the hub; logs/engine.log says what the engine was doing."

EngineState = Literal["down", "stalled", "loading", "busy", "idle"]


def stall(status: Status) -> str:
    """Why the engine counts as stalled and what to do; empty where it does not.

    An engine that answers may still be stuck: what counts is its loop, and with
    work waiting the steps it completes. What waits for a load needs no step.
    """
    loading = status.loading is not None
    patience = STALLED_LOADING_AFTER if loading else STALLED_AFTER
    if status.loop_age > patience:
        return f"The engine has been stuck for {status.loop_age:.0f} s. {_WHAT_TO_DO}"
    # An engine that has not completed a step yet is judged by its loop alone.
    working = status.active or (status.queued and not loading)
    if working and status.last_step_age is not None and status.last_step_age > patience:
        return (
            f"The engine has work but completed no step for {status.last_step_age:.0f} s. "
            f"{_WHAT_TO_DO}"
        )
    return ""


@dataclass(frozen=True)
class MemoryUse:
    """Bytes the engine holds, by owner."""

    weights: int
    live_kv: int
    prompt_cache: int
    total: int
    """Without what is held for work outside the engine."""
    ceiling: int
    held: int = 0
    """Reserved for work outside the engine, such as a training."""

    @property
    def other(self) -> int:
        return max(0, self.total - self.weights - self.live_kv - self.prompt_cache)

    @property
    def fraction(self) -> float:
        """Share of the ceiling in use, 0.0 to 1.0 and above where it is passed."""
        return self.used / self.ceiling if self.ceiling else 0.0

    @property
    def used(self) -> int:
        """With what is held for others."""
        return self.total + self.held


@dataclass(frozen=True)
class EngineSnapshot:
    """What the engine said, or why it said nothing: ``error`` is set without ``status``."""

    status: Status | None
    cache: CacheStats | None
    error: EngineError | None

    @property
    def state(self) -> EngineState:
        if self.status is None:
            return "down"
        if self.stall:
            return "stalled"
        if self.status.loading is not None:
            return "loading"
        return "busy" if self.status.active or self.status.queued else "idle"

    @property
    def stall(self) -> str:
        """Why an engine that answers counts as stalled; empty where it does not."""
        return "" if self.status is None else stall(self.status)

    @property
    def memory(self) -> MemoryUse | None:
        if self.status is None or self.cache is None:
            return None
        return MemoryUse(
            weights=sum(model.weights_bytes for model in self.status.models),
            live_kv=sum(model.live_kv_bytes for model in self.status.models),
            prompt_cache=self.cache.memory_bytes,
            total=self.status.active_memory_bytes,
            ceiling=self.status.accelerator.memory_ceiling_bytes,
            held=sum(held.bytes for held in self.status.held),
        )


def look_at_engine() -> EngineSnapshot:
    """Never raises EngineError: a page shows it instead."""
    engine = glancing_engine()
    try:
        status = engine.status()
        cache = engine.call(GetCacheStats(), CacheStats)
    except EngineError as error:
        return EngineSnapshot(status=None, cache=None, error=error)
    return EngineSnapshot(status=status, cache=cache, error=None)
