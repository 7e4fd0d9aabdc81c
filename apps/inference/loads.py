"""Loading a model on someone's behalf, while the page that asked goes on.

A load takes seconds to minutes and belongs to the hub, not to a tab: a thread
waits for it, and a failure is kept until the next try so that the page can show
it beside the model. Kept in memory only; whether a model *is* loaded is the
engine's to say.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from apps.inference.client import EngineClient, EngineError, EventStream
from apps.inference.engine.protocol import LoadModel, ModelSpec


@dataclass(eq=False)
class Load:
    """One try; ``error`` is set once it has failed."""

    spec: ModelSpec
    started_at: float = field(default_factory=time.monotonic)
    error: EngineError | None = None
    cancelled: bool = False
    ended: threading.Event = field(default_factory=threading.Event)
    events: EventStream | None = None

    @property
    def running(self) -> bool:
        return not self.ended.is_set()

    @property
    def seconds(self) -> int:
        """Whole seconds since the start."""
        return int(time.monotonic() - self.started_at)


class ModelLoads:
    """The loads under way and those that failed, by model digest. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loads: dict[str, Load] = {}

    def get(self, digest: str) -> Load | None:
        """The load under way or the last failure; None after a success."""
        with self._lock:
            return self._loads.get(digest)

    def start(self, spec: ModelSpec, engine: EngineClient) -> Load:
        """Starts to load, unless that is already under way; returns at once."""
        with self._lock:
            current = self._loads.get(spec.digest)
            if current is not None and current.running:
                return current
            load = self._loads[spec.digest] = Load(spec)
        threading.Thread(
            target=self._run, args=(load, engine), name=f"load-{spec.name}", daemon=True
        ).start()
        return load

    def cancel(self, digest: str) -> None:
        """Hangs up on the load under way, if there is one."""
        with self._lock:
            load = self._loads.get(digest)
            if load is None or not load.running:
                return
            load.cancelled = True
            if load.events is not None:
                load.events.cancel()

    def forget(self, digest: str) -> None:
        """Drops a failure that no longer matters."""
        with self._lock:
            load = self._loads.get(digest)
            if load is not None and not load.running:
                del self._loads[digest]

    def _run(self, load: Load, engine: EngineClient) -> None:
        try:
            with engine.stream(LoadModel(model=load.spec)) as events:
                with self._lock:
                    load.events = events
                    if load.cancelled:
                        events.cancel()
                for _ in events:
                    pass
        except EngineError as error:
            load.error = None if load.cancelled else error
        finally:
            self._end(load)

    def _end(self, load: Load) -> None:
        with self._lock:
            load.events = None
            if load.error is None:
                del self._loads[load.spec.digest]
            load.ended.set()


model_loads = ModelLoads()
"""This process's loads."""
