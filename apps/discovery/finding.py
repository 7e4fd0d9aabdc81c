"""A search over the hub's pages, until enough models fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from apps.discovery import hub
from apps.discovery.configured import configured_access
from apps.discovery.hub import Listing
from apps.discovery.keeping import Shelf
from apps.discovery.listing import ListedModel
from apps.discovery.wanted import Wanted

ENOUGH = 20
"""Models that fit, after which no further page of the hub is asked for."""

MAX_PAGES = 5
"""Of the hub, for one page here."""

PATIENCE_SECONDS = 10.0
"""After so long no further page is asked for, whatever was found."""

_listings = Shelf("listing", Listing)


@dataclass(frozen=True)
class Found:
    """One page of what was looked for."""

    models: tuple[ListedModel, ...]
    cursor: str
    """Where the next page begins; empty where there is none."""
    looked_at: int
    """Models that the hub named for these."""
    at: datetime
    """When the hub answered; the oldest of its pages counts."""
    problem: str
    """Why an old answer is shown; empty for fresh ones."""

    @property
    def epoch(self) -> float:
        return self.at.timestamp()


def find_models(wanted: Wanted, cursor: str = "", *, anew: bool = False) -> Found:
    """The models that fit, from ``cursor`` on: ENOUGH or all, as far as MAX_PAGES reach.

    ``anew`` asks the hub though an answer is kept. Raises HubUnreachable where the hub
    is silent and nothing is kept, or AccessRefused.
    """
    access = configured_access()
    query = wanted.query()
    fitting: list[ListedModel] = []
    looked_at = 0
    times: list[datetime] = []
    problem = ""
    ends_at = monotonic() + PATIENCE_SECONDS
    for _ in range(MAX_PAGES):
        kept = _listings.get((query, cursor), access, _asking(query, access, cursor), anew=anew)
        fitting += filter(wanted.fits, kept.value.models)
        looked_at += len(kept.value.models)
        times.append(kept.at)
        problem = problem or kept.problem
        cursor = kept.value.cursor
        if not cursor or len(fitting) >= ENOUGH or monotonic() > ends_at:
            break
    unique = {model.repo_id: model for model in fitting}
    return Found(tuple(unique.values()), cursor, looked_at, min(times), problem)


def _asking(query: hub.Query, access: hub.Access, cursor: str) -> Callable[[], Listing]:
    return lambda: hub.search(query, access, cursor)
