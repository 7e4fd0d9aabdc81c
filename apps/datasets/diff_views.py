"""What a version changed: rows that came, went and read otherwise, with their words."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from apps.datasets.formats.diff import Piece, pieces_of, row_changes
from apps.datasets.models import DatasetVersion
from apps.datasets.shown import Part, parts_of
from apps.datasets.views import dataset_of, frame

PER_PAGE = 20
SHOWS = ("changed", "added", "removed")


@dataclass(frozen=True)
class Cell:
    """One text of a row as it was and as it is."""

    role: str
    pieces: list[Piece]


@dataclass(frozen=True)
class RowDiff:
    """A row on both sides; None where it is not there."""

    before: int | None
    after: int | None
    cells: list[Cell]


@require_safe
def changes(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """The rows that differ from the parent, or from the version ``?from=``."""
    dataset = dataset_of(slug)
    version = get_object_or_404(dataset.versions, number=number)
    against = _against(version, request.GET.get("from", ""))
    if against is None or against.is_mapped != version.is_mapped:
        raise Http404
    found = row_changes(against.files, version.files)
    counts = {name: len(getattr(found, name)) for name in SHOWS}
    show = request.GET.get("show", "")
    if show not in SHOWS:
        show = next((name for name in SHOWS if counts[name]), SHOWS[0])
    rows: np.ndarray = getattr(found, show)
    page = _page(request.GET.get("page", ""), len(rows))
    part = rows[(page - 1) * PER_PAGE : page * PER_PAGE]
    context = frame(dataset, version, "versions") | {
        "against": against,
        "others": dataset.versions.exclude(pk=version.pk),
        "show": show,
        "counts": counts,
        "rows": [_row(against, version, show, each) for each in part],
        "page": page,
        "pages": max(-(-len(rows) // PER_PAGE), 1),
    }
    return render(request, "data/changes.html", context)


def _against(version: DatasetVersion, wanted: str) -> DatasetVersion | None:
    """The version to compare with. Raises Http404."""
    if not wanted:
        return version.parent
    if not wanted.isdecimal() or len(wanted) > 9:
        raise Http404
    return get_object_or_404(version.dataset.versions, number=int(wanted))


def _row(older: DatasetVersion, newer: DatasetVersion, show: str, numbers: Any) -> RowDiff:
    before = None if show == "added" else int(np.ravel(numbers)[0])
    after = None if show == "removed" else int(np.ravel(numbers)[-1])
    old, new = _parts(older, before), _parts(newer, after)
    cells = [
        Cell(was.role or is_.role, list(pieces_of(was.text, is_.text)))
        for was, is_ in zip_longest(old, new, fillvalue=_NO_PART)
    ]
    return RowDiff(_ordinal(before), _ordinal(after), cells)


_NO_PART = Part("", "")


def _parts(version: DatasetVersion, number: int | None) -> list[Part]:
    return [] if number is None else parts_of(version.files.at(number).value)


def _ordinal(number: int | None) -> int | None:
    return None if number is None else number + 1


def _page(text: str, rows: int) -> int:
    last = max(-(-rows // PER_PAGE), 1)
    return min(max(int(text), 1), last) if text.isdecimal() and len(text) < 12 else 1
