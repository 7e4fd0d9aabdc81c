"""Whether the hub's parts work, measured by asking each for something small.

"down": no chat can be answered. "degraded": chats are answered, something else
is not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from django.db import DatabaseError, connection

from apps.inference.client import EngineError
from apps.inference.engine.protocol import Status
from apps.inference.heartbeat import INTERVAL, QueueUnreachable, last_beat_age
from apps.inference.services import glancing_engine
from apps.inference.snapshot import stall

logger = logging.getLogger(__name__)

State = Literal["ok", "degraded", "down"]

MISSED_BEATS = 4
"""Heartbeats a worker may miss before it counts as gone."""


@dataclass(frozen=True)
class Check:
    """One part's state. ``latency_ms`` is how long it took to answer."""

    status: State
    detail: str = ""
    latency_ms: float = 0.0


@dataclass(frozen=True)
class Report:
    """Every part's check; ``engine_status`` is what the engine said, where it did."""

    database: Check
    engine: Check
    worker: Check
    engine_status: Status | None = field(default=None, repr=False)

    @property
    def status(self) -> State:
        """The hub's state as a whole."""
        if "down" in (self.database.status, self.engine.status):
            return "down"
        states = {self.database.status, self.engine.status, self.worker.status}
        return "ok" if states == {"ok"} else "degraded"


def report() -> Report:
    """Checks every part; takes a few seconds at most."""
    engine_check, status = _timed_engine()
    return Report(
        database=_timed(_database),
        engine=engine_check,
        worker=_timed(_worker),
        engine_status=status,
    )


def _timed(check: Callable[[], Check]) -> Check:
    started = time.perf_counter()
    result = check()
    return Check(result.status, result.detail, _milliseconds_since(started))


def _milliseconds_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)


def _database() -> Check:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        logger.warning("The database does not answer: %s", error)
        return Check("down", "The database does not answer; the web process's log says why.")
    return Check("ok")


def _timed_engine() -> tuple[Check, Status | None]:
    started = time.perf_counter()
    try:
        status = glancing_engine().status()
    except EngineError as error:
        return Check("down", error.message, _milliseconds_since(started)), None
    verdict = _verdict(status)
    return Check(verdict.status, verdict.detail, _milliseconds_since(started)), status


def _verdict(status: Status) -> Check:
    if reason := stall(status):
        return Check("down", reason)
    return Check("ok", f"Loading {status.loading}.") if status.loading else Check("ok")


def _worker() -> Check:
    try:
        age = last_beat_age()
    except QueueUnreachable as error:
        logger.warning("The task queue does not answer: %s", error)
        return Check("down", "The task queue does not answer; the web process's log says why.")
    if age is None or age > INTERVAL * MISSED_BEATS:
        seen = "has not been seen" if age is None else f"was last seen {age:.0f} s ago"
        return Check(
            "down", f"The worker {seen}: downloads and jobs wait. Start it with `mlx-hub up`."
        )
    return Check("ok")
