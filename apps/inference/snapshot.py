"""One short look at the engine, for pages that must not wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from django.conf import settings

from apps.inference.client import EngineClient, EngineError
from apps.inference.engine.protocol import CacheStats, GetCacheStats, Status

GLANCE_TIMEOUT = 2.5
"""Seconds a page waits for the engine's word before it says that none came."""

STALLED_AFTER = 30.0
"""Seconds without a turn of the engine's loop, work waiting, that count as stalled."""

EngineState = Literal["down", "stalled", "loading", "busy", "idle"]


def glancing_engine() -> EngineClient:
    """A client for calls that the engine answers at once or not at all."""
    return EngineClient(settings.HUB.engine_socket, silence_timeout=GLANCE_TIMEOUT)


@dataclass(frozen=True)
class MemoryUse:
    """Bytes the engine holds, by owner."""

    weights: int
    live_kv: int
    prompt_cache: int
    total: int
    ceiling: int

    @property
    def other(self) -> int:
        return max(0, self.total - self.weights - self.live_kv - self.prompt_cache)

    @property
    def fraction(self) -> float:
        """Share of the ceiling in use, 0.0 to 1.0 and above where it is passed."""
        return self.total / self.ceiling if self.ceiling else 0.0


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
        if self.status.loading is not None:
            return "loading"
        if self._stuck(self.status):
            return "stalled"
        return "busy" if self.status.active or self.status.queued else "idle"

    @staticmethod
    def _stuck(status: Status) -> bool:
        """Whether the engine's loop stands still, or turns without completing its work."""
        working = status.active or status.queued
        stepless = working and (status.last_step_age or 0.0) > STALLED_AFTER
        return status.loop_age > STALLED_AFTER or bool(stepless)

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
