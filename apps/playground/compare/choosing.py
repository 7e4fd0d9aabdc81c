"""Which models stand in the columns of a comparison that is not begun, by their names."""

from __future__ import annotations

from collections.abc import Sequence

from django.http import QueryDict

from apps.playground.compare.models import MOST_COLUMNS

FEWEST_COLUMNS = 2
"""With fewer there is nothing to compare."""


def names_asked_for(query: QueryDict) -> list[str]:
    """What an address's ``models=a,b`` names."""
    given = [name for each in query.getlist("models") for name in each.split(",")]
    return [name.strip() for name in given if name.strip()][:MOST_COLUMNS]


def names_posted(data: QueryDict) -> list[str]:
    """What the columns of a form name."""
    named = (data.get(f"c{position}-name", "") for position in range(MOST_COLUMNS))
    return [name for name in named if name]


def to_begin_with(asked: Sequence[str], there: Sequence[str]) -> list[str]:
    """Those ``asked`` for that are ``there``, made up to two; none where nothing is there."""
    names = [name for name in asked if name in there]
    while there and len(names) < FEWEST_COLUMNS:
        names = with_one_more(names, there)
    return names


def with_one_more(names: Sequence[str], there: Sequence[str]) -> list[str]:
    """``names`` and one that is not among them; where all of them are, the first again."""
    others = [name for name in there if name not in names]
    return [*names, *(others or there)[:1]]


def rearranged(names: Sequence[str], there: Sequence[str], *, fewer: bool) -> list[str]:
    """``names`` with one more, or without the last; never fewer than two nor more than fit."""
    names = [name for name in names if name in there]
    if fewer:
        return to_begin_with(names[:-1] if len(names) > FEWEST_COLUMNS else names, there)
    return to_begin_with(with_one_more(names, there)[:MOST_COLUMNS], there)
