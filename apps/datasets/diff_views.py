"""What a version changed: rows that came, went and read otherwise, with their words."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from apps.datasets.diff import SHOWS, RowPair, Show, changes_between, compared_with, pairs_of
from apps.datasets.errors import DatasetError
from apps.datasets.formats.diff import Piece, pieces_of
from apps.datasets.formats.store.reading import StoredRow
from apps.datasets.models import DatasetVersion
from apps.datasets.shown import Part, parts_of
from apps.datasets.views import dataset_of, frame

PER_PAGE = 20


@dataclass(frozen=True)
class Cell:
    """One text of a row as it was and as it is."""

    role: str
    pieces: list[Piece]


@dataclass(frozen=True)
class RowDiff:
    """A row with its place on both sides, from 1; None where it is not there."""

    before: int | None
    after: int | None
    cells: list[Cell]


@require_safe
def changes(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """The rows that differ from the parent, or from the version ``?from=``."""
    dataset = dataset_of(slug)
    version = get_object_or_404(dataset.versions, number=number)
    against = _against(version, request.GET.get("from", ""))
    found = changes_between(against, version)
    counts = {name: len(getattr(found, name)) for name in SHOWS}
    show = _show(request.GET.get("show", ""), counts)
    page = _page(request.GET.get("page", ""), counts[show])
    offset = (page - 1) * PER_PAGE
    pairs = pairs_of(against, version, show, offset=offset, limit=PER_PAGE)
    context = frame(dataset, version, "versions") | {
        "against": against,
        "others": dataset.versions.exclude(pk=version.pk),
        "show": show,
        "counts": counts,
        "rows": list(map(_diff, pairs)),
        "page": page,
        "pages": max(-(-counts[show] // PER_PAGE), 1),
    }
    return render(request, "data/changes.html", context)


def _against(version: DatasetVersion, wanted: str) -> DatasetVersion:
    """The version to compare with. Raises Http404."""
    if wanted and not (wanted.isdecimal() and len(wanted) <= 9):
        raise Http404
    try:
        return compared_with(version, int(wanted) if wanted else None)
    except DatasetError as error:
        raise Http404(str(error)) from error


def _show(wanted: str, counts: dict[Show, int]) -> Show:
    """What is asked for, else the first of which there are any."""
    asked = (name for name in SHOWS if name == wanted)
    return next(asked, next((name for name in SHOWS if counts[name]), SHOWS[0]))


def _diff(pair: RowPair) -> RowDiff:
    cells = [
        Cell(was.role or is_.role, list(pieces_of(was.text, is_.text)))
        for was, is_ in zip_longest(_parts(pair.before), _parts(pair.after), fillvalue=_NO_PART)
    ]
    return RowDiff(_ordinal(pair.before), _ordinal(pair.after), cells)


_NO_PART = Part("", "")


def _parts(row: StoredRow | None) -> list[Part]:
    return parts_of(row.value) if row else []


def _ordinal(row: StoredRow | None) -> int | None:
    return row.number + 1 if row else None


def _page(text: str, rows: int) -> int:
    last = max(-(-rows // PER_PAGE), 1)
    return min(max(int(text), 1), last) if text.isdecimal() and len(text) < 12 else 1
