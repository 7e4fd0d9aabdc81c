"""Memory that other processes of the hub use: trainings, conversions, fusions.

Models and such work share one machine's memory, so they share one ledger: whoever
wants some asks the engine first, and keeps a connection open for as long as it needs
it. Idle models give way. When the holder ends, however it ends, its connection closes
and the memory is anybody's again.
"""

from __future__ import annotations

import itertools

from apps.inference.engine import protocol
from apps.inference.engine.ledger import Claim, Footprint
from apps.inference.engine.model_pool import ModelPool
from apps.inference.engine.sequence import Call

_numbers = itertools.count(1)


class Holds:
    def __init__(self, pool: ModelPool) -> None:
        self._pool = pool
        self._calls: dict[str, Call] = {}
        """By the digest of their claim."""

    def take(self, request: protocol.HoldMemory, call: Call) -> None:
        """Reserve the memory, or raise InsufficientMemory."""
        claim = Claim(
            digest=f"hold-{next(_numbers)}",
            name=request.name,
            footprint=Footprint(request.bytes, 0, 0),
            stays="at work",
            pinned=True,
            purpose="to work",
            advice="make it smaller",
        )
        unloaded = self._pool.hold(claim)
        self._calls[claim.digest] = call
        call.emit(protocol.Held(unloaded=unloaded))

    def drop(self) -> None:
        """Give back what nobody holds any more."""
        for digest, call in list(self._calls.items()):
            if call.cancelled:
                del self._calls[digest]
                self._pool.release(digest)

    def end_all(self, event: protocol.Failed) -> None:
        """The engine goes: who holds memory asks the next one again."""
        for digest, call in self._calls.items():
            call.emit(event)
            self._pool.release(digest)
        self._calls.clear()
