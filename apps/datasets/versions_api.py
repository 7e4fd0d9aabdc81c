"""Versions of a dataset over REST: what changed, going back to one, taking one away."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponseBase
from ninja import Path, Query, Router, Schema
from pydantic import Field

from apps.datasets import services
from apps.datasets.diff import difference
from apps.datasets.exporting import Format, require_format, zipped
from apps.datasets.models import Dataset
from apps.datasets.schemas import DatasetFault, DatasetOut, VersionOut
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
