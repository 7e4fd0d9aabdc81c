"""Requests that wait for their model, and the loads they wait for.

One load goes on at a time, a part per turn of the engine's loop; the others wait in
the order they were asked for. A load that nobody waits for any more is given up.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from apps.inference.engine import protocol
from apps.inference.engine.errors import DeadlineExceeded, EngineFault, defect
from apps.inference.engine.model_pool import ModelPool, Progress
from apps.inference.engine.sequence import Call

logger = logging.getLogger(__name__)

_TELL_SECONDS = 0.25
"""How often those who wait are told how far their load is."""

ModelRequest = protocol.Generate | protocol.Warm | protocol.Embed | protocol.LoadModel


@dataclass(frozen=True)
class Waiting:
    request: ModelRequest
    call: Call

    def expired(self, now: float) -> bool:
        limit = getattr(self.request, "deadline_seconds", None)
        return limit is not None and now > self.call.asked_at + limit


@dataclass(eq=False)
class _Load:
    parts: Generator[Progress, None, None]
    progress: Progress
    waiting: list[Waiting] = field(default_factory=list)
    told_at: float = 0.0

    def event(self) -> protocol.Loading:
        return protocol.Loading(
            model=self.progress.model,
            done_bytes=self.progress.done_bytes,
            total_bytes=self.progress.total_bytes,
        )


class ModelLoads:
    def __init__(self, pool: ModelPool, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._clock = clock
        self._loads: dict[str, _Load] = {}
        """By digest, in the order they were asked for; the first one is going on."""

    def __len__(self) -> int:
        """Requests that wait for a model."""
        return sum(len(load.waiting) for load in self._loads.values())

    @property
    def progress(self) -> Progress | None:
        """Of the load that is going on."""
        load = next(iter(self._loads.values()), None)
        return load.progress if load else None

    def wait(self, request: ModelRequest, call: Call) -> None:
        """Let a request wait for its model to be loaded."""
        spec = request.model
        load = self._loads.get(spec.digest)
        if load is None:
            load = _Load(self._pool.load(spec), Progress(spec.name, 0, 0))
            self._loads[spec.digest] = load
        load.waiting.append(Waiting(request, call))
        call.emit(load.event())

    def advance(self, seconds: float) -> list[Waiting]:
        """Go on with the first load for about this long; whose model is there now.

        A load that fails ends the requests that wait for it.
        """
        if not self._loads:
            return []
        digest, load = next(iter(self._loads.items()))
        try:
            done = self._go_on(load, self._clock() + seconds)
        except EngineFault as fault:
            self._end(digest, fault.event())
        except Exception:  # a folder that breaks the load must not end the engine
            logger.exception("loading %s failed", load.progress.model)
            self._end(digest, defect())
        else:
            return self._loads.pop(digest).waiting if done else []
        return []

    def drop(self) -> None:
        """Forget who left, refuse whose deadline is over, give up what nobody waits for."""
        now = self._clock()
        for digest, load in list(self._loads.items()):
            for waiting in load.waiting:
                if waiting.expired(now) and not waiting.call.cancelled:
                    waiting.call.emit(_too_late(load).event())
            load.waiting = [
                waiting
                for waiting in load.waiting
                if not waiting.call.cancelled and not waiting.expired(now)
            ]
            if not load.waiting:
                self._give_up(digest)

    def end_all(self, event: protocol.Failed) -> None:
        """End every request that waits, and give up the loads."""
        for digest in list(self._loads):
            self._end(digest, event)

    def _go_on(self, load: _Load, until: float) -> bool:
        """Whether the load is over."""
        while True:
            progress = next(load.parts, None)
            if progress is None:
                return True
            load.progress = progress
            now = self._clock()
            if now - load.told_at >= _TELL_SECONDS:
                load.told_at = now
                for waiting in load.waiting:
                    waiting.call.emit(load.event())
            if now >= until:
                return False

    def _end(self, digest: str, event: protocol.Failed) -> None:
        for waiting in self._loads[digest].waiting:
            waiting.call.emit(event)
        self._give_up(digest)

    def _give_up(self, digest: str) -> None:
        self._loads.pop(digest).parts.close()


def _too_late(load: _Load) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"{load.progress.model} was not loaded within the request's deadline. "
        "Load it beforehand, or allow more time."
    )
