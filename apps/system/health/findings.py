"""What a check found, and what all of them come to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from apps.inference.engine.protocol import Status

State = Literal["ok", "degraded", "down"]

VITAL = frozenset({"database", "engine"})
"""Without these no chat can be answered."""


@dataclass(frozen=True)
class Finding:
    """One part's state, as of now."""

    state: State
    detail: str = ""
    """What is the matter and why; for a healthy part a figure that is worth knowing."""
    remedy: str = ""
    """What to do; empty where all is well."""


@dataclass(frozen=True)
class Checked:
    """A finding, the part that it is about, and how long the part took to answer."""

    name: str
    label: str
    finding: Finding
    latency_ms: float

    @property
    def state(self) -> State:
        return self.finding.state


@dataclass(frozen=True)
class Report:
    """Every check; ``engine_status`` is what the engine said, where it did."""

    checks: tuple[Checked, ...]
    engine_status: Status | None = field(default=None, repr=False)

    @property
    def state(self) -> State:
        """Of the hub as a whole: down where no chat can be answered."""
        if any(each.state == "down" and each.name in VITAL for each in self.checks):
            return "down"
        return "ok" if all(each.state == "ok" for each in self.checks) else "degraded"

    def named(self, name: str) -> Checked:
        """The check of this name."""
        return next(each for each in self.checks if each.name == name)
