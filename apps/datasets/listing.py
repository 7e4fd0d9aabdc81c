"""The rows that an address asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.utils.http import urlencode

from apps.datasets.formats.checks import Problem
from apps.datasets.formats.languages import CODE
from apps.datasets.formats.personal import Personal
from apps.datasets.formats.store.index import SPLITS
from apps.datasets.formats.store.reading import SORTS, Rows, StoredRow, Wanted
from apps.datasets.models import DatasetVersion
from apps.datasets.shown import clip_of, labels_of

PER_PAGE = 50
_FILTERS = frozenset({"v", "q", "problem", "personal", "language", "longer_than", "split", "sort"})
"""What of a query names rows; the rest names a place among them, or is typed in a form beside."""

_PLACES = frozenset({"page", "from"})
"""What of a query names a place among the rows."""

_MAX_PLACE = 1_000


@dataclass(frozen=True)
class Line:
    """A row of the table."""

    row: StoredRow
    clip: str
    labels: list[str]

    @property
    def ordinal(self) -> int:
        """Its number, from 1."""
        return self.row.number + 1


@dataclass(frozen=True)
class Listing:
    """One page of rows with its place among the others."""

    wanted: Wanted
    lines: list[Line]
    total: int | None
    page: int
    pages: int
    resume: int | None
    start: int
    """Where it begins among them: a row's number where words are searched for."""
    query: str
    """The address's query without the place."""

    @property
    def place(self) -> str:
        """The whole of it, with the place: where a form of these rows comes back to."""
        at = f"from={self.start}" if self.wanted.words else f"page={self.page}"
        return f"{self.query}&{at}" if self.query else at


def listing_of(version: DatasetVersion, data: QueryDict) -> Listing:
    """The page of rows that the query names; nonsense in it is left out."""
    wanted = wanted_of(data)
    page = max(_number(data.get("page", "")), 1)
    start = _number(data.get("from", "")) if wanted.words else (page - 1) * PER_PAGE
    rows: Rows = version.files.page(wanted, offset=start, limit=PER_PAGE)
    pages = 1 if rows.total is None else max(-(-rows.total // PER_PAGE), 1)
    lines = [
        Line(row, clip_of(row.value), labels_of(row.problems, row.personal)) for row in rows.rows
    ]
    return Listing(wanted, lines, rows.total, page, pages, rows.resume, start, _query(data))


def wanted_of(data: QueryDict) -> Wanted:
    """Filters, words and order of a query."""
    problem, personal = data.get("problem", ""), data.get("personal", "")
    sort = data.get("sort", "row")
    language = data.get("language", "")
    split = data.get("split", "")
    return Wanted(
        words=data.get("q", "").strip()[:200],
        problem=Problem[problem] if problem in Problem.__members__ else Problem(0),
        personal=Personal[personal] if personal in Personal.__members__ else Personal(0),
        split=split if split in SPLITS else "",
        language=language if CODE.fullmatch(language) else "",
        longer_than=_number(data.get("longer_than", "")),
        sort=sort.removeprefix("-") if sort.removeprefix("-") in SORTS else "row",
        descending=sort.startswith("-"),
    )


def place_in(query: str) -> dict[str, str]:
    """What ``Listing.place`` says; anything else in it is left out."""
    given = QueryDict(query[:_MAX_PLACE])
    return {name: str(given[name]) for name in _FILTERS | _PLACES if given.get(name)}


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 12 else 0


def _query(data: QueryDict) -> str:
    kept: dict[str, Any] = {
        name: value for name, value in data.items() if value and name in _FILTERS
    }
    return urlencode(kept)
