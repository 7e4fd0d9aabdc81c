"""Signs of life for the requests that hold a place.

A web process that is killed frees nothing. So a place is a lease: while requests
hold places, one thread of the process renews theirs; it ends with the last of them.
"""

from __future__ import annotations

import logging
import threading

from django.db import DatabaseError, connection

from apps.inference.keys.limits import LEASE, renew

RENEW_EVERY = LEASE.total_seconds() / 3

logger = logging.getLogger(__name__)


class Leases:
    """The places that this process's requests hold. Safe from any thread."""

    def __init__(self, *, every: float = RENEW_EVERY) -> None:
        self._every = every
        self._changed = threading.Condition()
        self._held: set[int] = set()
        self._thread: threading.Thread | None = None

    def hold(self, admission_id: int) -> None:
        """Renew this admission's lease until ``let_go``."""
        with self._changed:
            self._held.add(admission_id)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
                self._thread.start()

    def let_go(self, admission_id: int) -> None:
        with self._changed:
            self._held.discard(admission_id)
            self._changed.notify()

    def _run(self) -> None:
        while held := self._due():
            try:
                renew(held)
            except DatabaseError:
                logger.exception("The places of running requests were not renewed.")
            finally:
                connection.close()

    def _due(self) -> list[int]:
        """Waits until a renewal is due; what is to be renewed. Empty: the thread ends."""
        with self._changed:
            self._changed.wait_for(lambda: not self._held, timeout=self._every)
            if not self._held:
                self._thread = None
            return sorted(self._held)


leases = Leases()
"""Of this process."""
