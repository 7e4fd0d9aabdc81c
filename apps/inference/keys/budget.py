"""What a key has left, as its callers are told."""

from __future__ import annotations

from collections.abc import Iterable
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


def tightest(budgets: Iterable[Budgets]) -> Budgets:
    """Of limits that all hold, the ones that a caller meets first."""
    every = list(budgets)
    return Budgets(
        _least([each.requests for each in every]), _least([each.tokens for each in every])
    )


def _least(budgets: Iterable[Budget | None]) -> Budget | None:
    given = (budget for budget in budgets if budget is not None)
    return min(given, key=lambda budget: (budget.remaining, -budget.reset), default=None)
