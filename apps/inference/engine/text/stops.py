"""Stop strings: cut the text at the first one, and never show part of one."""

from __future__ import annotations

from collections.abc import Sequence


class StopMatcher:
    """Passes text through until a stop string appears in it.

    Text that could still become a stop string is held back, so nothing that
    ``feed`` returned ever has to be taken back.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """The text that is now certain; sets ``stopped`` where a stop string ended it."""
        if not self._stops:
            return text
        pending = self._held + text
        found = [at for stop in self._stops if (at := pending.find(stop)) >= 0]
        if found:
            self.stopped = True
            self._held = ""
            return pending[: min(found)]
        keep = self._possible_start(pending)
        self._held = pending[keep:]
        return pending[:keep]

    def flush(self) -> str:
        """The held text, once nothing more will come."""
        held, self._held = self._held, ""
        return held

    def _possible_start(self, text: str) -> int:
        """Where the longest suffix of ``text`` that begins a stop string starts."""
        longest = max(len(stop) for stop in self._stops) - 1
        for at in range(max(0, len(text) - longest), len(text)):
            tail = text[at:]
            if any(stop.startswith(tail) for stop in self._stops):
                return at
        return len(text)
