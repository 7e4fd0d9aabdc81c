"""Memory for work outside the engine, held in the engine's ledger while the work goes on.

Without an engine there is nothing to share memory with: the work begins at once, and asks
the engine for its memory when one comes up. An engine that restarts is asked again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from django.conf import settings

from apps.inference.client import EngineClient, EngineError, EngineUnavailable, EventStream
from apps.inference.engine.protocol import Held, HoldMemory

logger = logging.getLogger(__name__)

_FOR_EVER = 365 * 86_400.0
"""Seconds: an engine says nothing while it holds memory."""

AGAIN_SECONDS = 2.0
"""Between two tries to hold the memory in an engine that was away, or had none to give."""


@contextmanager
def memory_held(name: str, nbytes: int) -> Iterator[None]:
    """Keep ``nbytes`` for the work called ``name`` while the block runs; idle models give way.

    Raises EngineError where models that are in use leave too little.
    """
    holder = _Holder(HoldMemory(name=name, bytes=nbytes))
    holder.start()
    try:
        holder.first.result()
        yield
    finally:
        holder.end()


class _Holder(threading.Thread):
    """Keeps a call open until ``end``."""

    def __init__(self, request: HoldMemory) -> None:
        super().__init__(name=f"memory of {request.name}", daemon=True)
        self.first: Future[None] = Future()
        """Done once the memory is held, or there is no engine to hold it; or the refusal."""
        self._request = request
        self._engine = EngineClient(settings.HUB.engine_socket, silence_timeout=_FOR_EVER)
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._open: EventStream | None = None

    def run(self) -> None:
        while not self._over.is_set():
            try:
                self._hold()
            except EngineUnavailable:
                self._answer(None)
            except EngineError as refusal:
                if self._answer(refusal):
                    return
                logger.warning("The work goes on, but: %s", refusal.message)
            self._over.wait(AGAIN_SECONDS)

    def end(self) -> None:
        """Give the memory back."""
        with self._lock:
            self._over.set()
            if self._open is not None:
                self._open.cancel()
        self.join()

    def _hold(self) -> None:
        """Returns or raises when the call ends, whoever ended it."""
        with self._engine.stream(self._request) as events:
            with self._lock:
                if self._over.is_set():
                    return
                self._open = events
            try:
                for event in events:
                    if isinstance(event, Held):
                        self._answer(None)
            finally:
                with self._lock:
                    self._open = None

    def _answer(self, refusal: EngineError | None) -> bool:
        """Settle what the block waits for; False where it does not wait any more."""
        if self.first.done():
            return False
        if refusal is None:
            self.first.set_result(None)
        else:
            self.first.set_exception(refusal)
        return True
