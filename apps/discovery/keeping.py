"""What the hub answered, kept for all processes: shown at once, and when it is silent.

An answer counts as fresh for a while and is kept much longer. Where the hub can't
be reached, the old answer is shown with its age and the reason, and for a moment
nobody waits for the hub again. A kept answer that can't be read or written is a
miss that is logged, never a failure.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from django.core.cache import caches
from pydantic import TypeAdapter, ValidationError

from apps.discovery.errors import HubUnreachable
from apps.discovery.hub.access import Access

logger = logging.getLogger(__name__)

T = TypeVar("T")

FRESH_SECONDS = 600.0
"""An answer as old as this is asked for anew."""

SILENCE_SECONDS = 30.0
"""After a failure the hub counts as unreachable for so long."""

_UNREADABLE = (OSError, EOFError, zlib.error, pickle.UnpicklingError, ValidationError)


@dataclass(frozen=True)
class Kept(Generic[T]):
    """An answer and when the hub gave it."""

    value: T
    at: datetime
    problem: str = ""
    """Why it could not be asked for anew; empty where it is fresh."""

    @property
    def epoch(self) -> float:
        return self.at.timestamp()


class Shelf(Generic[T]):
    """Answers of one kind, kept under keys."""

    def __init__(self, name: str, kind: type[T]) -> None:
        self._name = name
        self._adapter = TypeAdapter(Kept[kind])  # type: ignore[valid-type]

    def get(
        self,
        key: object,
        access: Access,
        ask: Callable[[], T],
        *,
        anew: bool = False,
        is_whole: Callable[[T], bool] = lambda value: True,
    ) -> Kept[T]:
        """The answer for ``key``: the kept one while it is fresh, else what ``ask`` brings.

        ``key`` is told apart by its ``repr``. ``anew`` asks in any case. What is not
        ``is_whole`` is not kept. Raises what ``ask`` raises; HubUnreachable only where
        nothing is kept.
        """
        place = _place(self._name, key, access)
        kept = self._read(place)
        if kept and not anew and _age(kept) < FRESH_SECONDS:
            return kept
        try:
            answer = Kept(_unless_silent(access, ask, anew=anew), datetime.now(UTC))
        except HubUnreachable as error:
            if kept is None:
                raise
            return Kept(kept.value, kept.at, str(error))
        if is_whole(answer.value):
            self._write(place, answer)
        return answer

    def _read(self, place: str) -> Kept[T] | None:
        try:
            held = caches["hub"].get(place)
            return self._adapter.validate_json(held) if isinstance(held, bytes) else None
        except _UNREADABLE:
            logger.warning("A kept answer of the hub can't be read; it is asked again.")
            return None

    def _write(self, place: str, answer: Kept[T]) -> None:
        try:
            caches["hub"].set(place, self._adapter.dump_json(answer))
        except OSError as error:
            logger.warning("The hub's answer can't be kept: %s", error)


def _unless_silent(access: Access, ask: Callable[[], T], *, anew: bool) -> T:
    """What ``ask`` brings; the failure of a moment ago without asking, unless ``anew``."""
    place = _place("silence", "", access)
    try:
        silence = None if anew else caches["hub"].get(place)
    except _UNREADABLE:
        silence = None
    if isinstance(silence, str):
        raise HubUnreachable(silence)
    try:
        answer = ask()
    except HubUnreachable as error:
        _note_silence(place, str(error))
        raise
    if anew:
        _note_silence(place, None)
    return answer


def _note_silence(place: str, silence: str | None) -> None:
    try:
        caches["hub"].set(place, silence, timeout=SILENCE_SECONDS)
    except OSError as error:
        logger.warning("Whether the hub answers can't be noted: %s", error)


def _age(kept: Kept[T]) -> float:
    return (datetime.now(UTC) - kept.at).total_seconds()


def _place(name: str, key: object, access: Access) -> str:
    """What one token may see is not shown to another."""
    parts = (name, access.endpoint, access.headers.get("authorization", ""), repr(key))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
