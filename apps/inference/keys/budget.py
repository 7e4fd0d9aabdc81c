"""What a key has left, as its callers are told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """One limit now. ``reset``: seconds until all of it is free again."""

    limit: int
    remaining: int
    reset: float


@dataclass(frozen=True)
class Budgets:
    """Of a minute; None where the key has no such limit."""

    requests: Budget | None = None
    tokens: Budget | None = None
