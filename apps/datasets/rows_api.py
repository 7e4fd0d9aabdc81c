"""Rows of a dataset over REST: lists and single ones, their tokens, changes of single ones."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Path, Query, Router, Schema, Status
from pydantic import ConfigDict, Field

from apps.datasets import services
from apps.datasets.authors import author_of
from apps.datasets.errors import DatasetNotFound
from apps.datasets.formats.checks import Problem
from apps.datasets.formats.personal import Personal
from apps.datasets.formats.store.reading import Wanted
from apps.datasets.formats.tokens import Seen, learnt_rows
from apps.datasets.models import Dataset, DatasetJob, DatasetVersion
from apps.datasets.orders import DEFAULT_LIMIT, Slug, model_of
from apps.datasets.schemas import (
    DatasetFault,
    DatasetJobOut,
    LanguageCode,
    PersonalName,
    ProblemName,
    RowList,
    RowOut,
    SplitName,
)
from apps.datasets.tokenizers import tokenizer_of

router = Router(tags=["Dataset rows"])

Version = Annotated[int | None, Query(ge=1, le=10**9, description="A version; empty: the present.")]
Ordinal = Annotated[int, Path(ge=0, le=2**32 - 1, description="From 0.")]
MAX_TOKENS_OUT = 20_000
"""Tokens of a row that are told; all are counted."""


class RowIn(Schema):
    model_config = ConfigDict(extra="forbid")

    row: dict[str, Any]


class RowsIn(Schema):
    model_config = ConfigDict(extra="forbid")

    rows: list[dict[str, Any]] = Field(min_length=1, max_length=1_000)


class TokenOut(Schema):
    id: int
    text: str
    is_special: bool
    is_learnt: bool = Field(description="Whether the loss counts it.")
    is_cut: bool = Field(description="Whether it lies behind the limit.")


class SeenOut(Schema):
    """A row as the model sees it; of a preference pair, one of its answers."""

    name: str
    length: int = Field(description="Tokens of all of it.")
    learnt: int
    cut: int
    tokens: list[TokenOut] = Field(description=f"The first {MAX_TOKENS_OUT:,}.")

    @classmethod
    def of(cls, name: str, seen: Seen) -> SeenOut:
        tokens = [
            TokenOut(
                id=each.id,
                text=each.text,
                is_special=each.is_special,
                is_learnt=each.is_learnt,
                is_cut=each.is_cut,
            )
            for each in seen.tokens[:MAX_TOKENS_OUT]
        ]
        return cls(name=name, length=seen.length, learnt=seen.learnt, cut=seen.cut, tokens=tokens)


@router.get(
    "/datasets/{str:slug}/rows",
    response={200: RowList, 404: DatasetFault},
    summary="Rows of a version",
)
def list_rows(
    request: HttpRequest,
    slug: str,
    version: Version = None,
    q: Annotated[str, Query(max_length=200, description="Words in the row.")] = "",
    problem: ProblemName | None = None,
    personal: PersonalName | None = None,
    split: SplitName | None = None,
    language: Annotated[
        LanguageCode | None, Query(description="Of the answer, once they were looked at.")
    ] = None,
    longer_than: Annotated[
        int, Query(ge=0, le=10**7, description="Tokens, once they were counted; 0: any length.")
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> RowList:
    """In their order. With `q`, `offset` is the row that the search begins at."""
    wanted = Wanted(
        words=q.strip(),
        problem=Problem[problem] if problem else Problem(0),
        personal=Personal[personal] if personal else Personal(0),
        split=split or "",
        language=language or "",
        longer_than=longer_than,
    )
    files = Dataset.objects.named(slug).version(version).files
    return RowList.of(files.page(wanted, offset=offset, limit=limit))


@router.get(
    "/datasets/{str:slug}/rows/{int:number}",
    response={200: RowOut, (400, 404): DatasetFault},
    summary="One row",
)
def get_row(request: HttpRequest, slug: str, number: Ordinal, version: Version = None) -> RowOut:
    """With what is known of it."""
    base = Dataset.objects.named(slug).version(version)
    _require_row(base, number)
    return RowOut.of(base.files.at(number))


@router.get(
    "/datasets/{str:slug}/rows/{int:number}/tokens",
    response={200: list[SeenOut], (400, 404): DatasetFault},
    summary="What a model sees of a row",
)
def get_row_tokens(
    request: HttpRequest,
    slug: str,
    number: Ordinal,
    model: Annotated[Slug, Query(description="Whose tokenizer and chat template.")],
    limit: Annotated[int, Query(ge=8, le=1_000_000)] = DEFAULT_LIMIT,
    mask_prompt: Annotated[bool, Query(description="Learn only the answer.")] = True,
    version: Version = None,
) -> list[SeenOut]:
    """The exact text by tokens: special ones, those that are learnt, and the cut."""
    base = Dataset.objects.named(slug).version(version)
    _require_row(base, number)
    tokenizer = tokenizer_of(model_of(model))
    sides = learnt_rows(base.files.at(number).value)
    return [
        SeenOut.of(name, tokenizer.see(side, mask_prompt=mask_prompt, limit=limit))
        for name, side in sides.items()
    ]


@router.post(
    "/datasets/{str:slug}/rows",
    response={202: DatasetJobOut, (400, 404, 409): DatasetFault},
    summary="Add rows",
)
def add_rows(
    request: HttpRequest, slug: str, payload: RowsIn, version: Version = None
) -> Status[DatasetJobOut]:
    """Queues a job that makes a version with them at the end of the training split."""
    return _edit(request, slug, version, {"added": payload.rows})


@router.put(
    "/datasets/{str:slug}/rows/{int:number}",
    response={202: DatasetJobOut, (400, 404, 409): DatasetFault},
    summary="Replace a row",
)
def replace_row(
    request: HttpRequest, slug: str, number: Ordinal, payload: RowIn, version: Version = None
) -> Status[DatasetJobOut]:
    """Queues a job that makes a version with this row in its place."""
    _require_row(Dataset.objects.named(slug).version(version), number)
    return _edit(request, slug, version, {"changed": {str(number): payload.row}})


@router.delete(
    "/datasets/{str:slug}/rows/{int:number}",
    response={202: DatasetJobOut, (400, 404, 409): DatasetFault},
    summary="Remove a row",
)
def remove_row(
    request: HttpRequest, slug: str, number: Ordinal, version: Version = None
) -> Status[DatasetJobOut]:
    """Queues a job that makes a version without it; going back to a version undoes it."""
    base = Dataset.objects.named(slug).version(version)
    _require_row(base, number)
    job = services.order(
        version=base, kind=DatasetJob.Kind.DROP, plan={"rows": [number]}, by=author_of(request)
    )
    return Status(202, DatasetJobOut.of(job))


def _edit(
    request: HttpRequest, slug: str, version: int | None, plan: dict[str, Any]
) -> Status[DatasetJobOut]:
    base = Dataset.objects.named(slug).version(version)
    by = author_of(request)
    job = services.order(version=base, kind=DatasetJob.Kind.EDIT, plan=plan, by=by)
    return Status(202, DatasetJobOut.of(job))


def _require_row(version: DatasetVersion, number: int) -> None:
    """Raises DatasetNotFound."""
    if number >= version.rows:
        raise DatasetNotFound(f"{version} has {version.rows:,} rows, so none has number {number}.")
