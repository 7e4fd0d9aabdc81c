"""Stop strings: cut the text at the first one, and never show part of one."""

from __future__ import annotations

from collections.abc import Sequence

from apps.inference.engine.text.markers import first_marker, possible_start


class StopMatcher:
    """Passes text through until a stop string appears in it.

    Text that could still become a stop string is held back, so nothing that
    ``feed`` returned ever has to be taken back.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.found: str | None = None
        """The stop string that ended the text."""

    @property
    def stopped(self) -> bool:
        return self.found is not None

    def feed(self, text: str) -> str:
        """The text that is now certain; sets ``found`` where a stop string ended it."""
        if not self._stops:
            return text
        pending = self._held + text
        first = first_marker(pending, self._stops)
        if first is not None:
            at, self.found = first
            self._held = ""
            return pending[:at]
        keep = possible_start(pending, self._stops)
        self._held = pending[keep:]
        return pending[:keep]

    def flush(self) -> str:
        """The held text, once nothing more will come."""
        held, self._held = self._held, ""
        return held
