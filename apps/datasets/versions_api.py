"""Versions of a dataset over REST: what changed, going back to one, taking one away."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponseBase
from ninja import Path, Query, Router, Schema
from pydantic import Field

from apps.datasets import services
from apps.datasets.diff import (
    RowPair,
    Show,
    changes_between,
    compared_with,
    difference,
    pairs_of,
)
from apps.datasets.exporting import Format, require_format, zipped
from apps.datasets.models import Dataset
from apps.datasets.schemas import DatasetFault, DatasetOut, RowOut, VersionOut
from apps.datasets.streaming import attachment

router = Router(tags=["Dataset versions"])

Number = Annotated[int, Path(ge=0, le=10**9)]

_ZIP: dict[str, Any] = {"responses": {200: {"content": {"application/zip": {}}}}}


class DifferenceOut(Schema):
    """Rows by what they teach; one that was edited is one removed and one added."""

    added: int
    removed: int
    moved: int = Field(description="Rows that are in both, in another split.")


class VersionDetail(VersionOut):
    """With what it changed of its parent, and all that is counted of it."""

    difference: DifferenceOut | None = Field(description="Null: there is nothing to compare.")
    statistics: dict[str, Any]


class RowChange(Schema):
    """A row as it was and as it is."""

    before: RowOut | None = Field(description="Null: it is new.")
    after: RowOut | None = Field(description="Null: it is gone.")

    @classmethod
    def of(cls, pair: RowPair) -> RowChange:
        before, after = (RowOut.of(row) if row else None for row in (pair.before, pair.after))
        return cls(before=before, after=after)


class RowChangeList(Schema):
    """Rows that differ, in their order, and how many there are in all."""

    against: int = Field(description="Number of the version that this one is compared with.")
    changed: int
    added: int
    removed: int
    rows: list[RowChange]


@router.get(
    "/datasets/{str:slug}/versions/{int:number}",
    response={200: VersionDetail, (400, 404): DatasetFault},
    summary="One version",
)
def get_version(request: HttpRequest, slug: str, number: Number) -> VersionDetail:
    """What made it, what it changed, and its counts."""
    version = Dataset.objects.named(slug).version(number)
    change = difference(version)
    return VersionDetail(
        **VersionOut.of(version).model_dump(),
        difference=DifferenceOut.model_validate(change, from_attributes=True) if change else None,
        statistics=version.facts,
    )


@router.get(
    "/datasets/{str:slug}/versions/{int:number}/changes",
    response={200: RowChangeList, (400, 404): DatasetFault},
    summary="Rows that a version changed",
)
def list_changes(
    request: HttpRequest,
    slug: str,
    number: Number,
    against: Annotated[
        int | None, Query(ge=1, le=10**9, description="A version; empty: the one it was made of.")
    ] = None,
    show: Annotated[Show, Query(description="Which of them `rows` lists.")] = "changed",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> RowChangeList:
    """By what they teach: rows that only moved to another place or split are the same."""
    version = Dataset.objects.named(slug).version(number)
    before = compared_with(version, against)
    found = changes_between(before, version)
    pairs = pairs_of(before, version, show, offset=offset, limit=limit)
    return RowChangeList(
        against=before.number,
        changed=len(found.changed),
        added=len(found.added),
        removed=len(found.removed),
        rows=list(map(RowChange.of, pairs)),
    )


@router.post(
    "/datasets/{str:slug}/versions/{int:number}/restore",
    response={200: DatasetOut, (400, 404, 409): DatasetFault},
    summary="Go back to a version",
)
def restore_version(request: HttpRequest, slug: str, number: Number) -> DatasetOut:
    """The dataset stands for it again: undo, and redo. Nothing is lost."""
    dataset = Dataset.objects.named(slug)
    services.restore(version=dataset.version(number))
    return DatasetOut.of(Dataset.objects.named(slug))


@router.get(
    "/datasets/{str:slug}/versions/{int:number}/export",
    response={200: None, (400, 404): DatasetFault},
    summary="Download a version",
    openapi_extra=_ZIP,
)
def export_version(
    request: HttpRequest,
    slug: str,
    number: Number,
    format: Annotated[Format, Query(description="`jsonl` is what mlx-lm reads.")] = "jsonl",
) -> HttpResponseBase:
    """A ZIP with a file for each split, made while it is sent."""
    version = Dataset.objects.named(slug).version(number)
    require_format(version, format, at_once=True)
    name = f"{slug}-{number}-{format}.zip"
    pieces = zipped(version, format)
    return attachment(request, pieces, name=name, content_type="application/zip")
