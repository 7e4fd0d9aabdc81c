"""The JSON of /api/datasets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import ConfigDict, Field, StringConstraints

from apps.datasets.formats.checks import DESCRIPTIONS
from apps.datasets.formats.personal import LABELS
from apps.datasets.formats.store.reading import Rows, StoredRow
from apps.datasets.models import Dataset, DatasetJob, DatasetVersion

ProblemName = Literal[
    "NO_FIELDS",
    "NOT_TEXT",
    "EMPTY",
    "UNKNOWN_ROLE",
    "WRONG_ORDER",
    "ONE_SIDED",
    "NO_ANSWER",
    "BAD_TOOL_CALL",
    "OVERSIZED",
    "TRUNCATED",
    "ODD_CHARACTERS",
    "FORMULA",
    "SAME_ANSWERS",
    "DUPLICATE",
    "OVERLAP",
    "NEAR_DUPLICATE",
]
PersonalName = Literal[
    "EMAIL",
    "PHONE",
    "CARD",
    "KEY",
]
SplitName = Literal["train", "valid", "test"]
LanguageCode = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]


class FaultDetail(Schema):
    message: str
    type: str
    param: str | None = None
    code: str | None = None


class DatasetFault(Schema):
    """Why it was not done, in the shape of every error of this hub."""

    error: FaultDetail


class VersionOut(Schema):
    """A version; it never changes."""

    number: int
    parent: int | None = Field(description="Number of the version that it was made of.")
    kind: str
    change: str = Field(description="What made it of its parent.")
    digest: str = Field(description="SHA-256 of its rows.")
    train_rows: int
    valid_rows: int
    test_rows: int
    nbytes: int
    author: str = Field(description="Who ordered the change.")
    created_at: datetime

    @classmethod
    def of(cls, version: DatasetVersion) -> VersionOut:
        parent = version.parent.number if version.parent else None
        names = ("number", "kind", "change", "digest", "nbytes", "author", "created_at")
        counts = ("train_rows", "valid_rows", "test_rows")
        return cls(parent=parent, **{name: getattr(version, name) for name in (*names, *counts)})


class DatasetOut(Schema):
    """A dataset and its present version."""

    slug: str
    name: str
    source: str
    created_at: datetime
    head: VersionOut | None = Field(description="Null until its import is done.")

    @classmethod
    def of(cls, dataset: Dataset) -> DatasetOut:
        return cls(
            slug=dataset.slug,
            name=dataset.name,
            source=dataset.source,
            created_at=dataset.created_at,
            head=VersionOut.of(dataset.head) if dataset.head else None,
        )


class DatasetDetail(DatasetOut):
    versions: list[VersionOut]


class DatasetList(Schema):
    datasets: list[DatasetOut]
    total: int


class DatasetJobOut(Schema):
    """A job on a dataset: how far it is, or what came of it."""

    id: int
    kind: str
    dataset: str
    state: str
    doing: str
    fraction: float
    error: str
    result: int | None = Field(description="Number of the version that it made.")
    figures: dict[str, Any] = Field(description="What an examination found.")

    @classmethod
    def of(cls, job: DatasetJob) -> DatasetJobOut:
        return cls(
            id=job.pk,
            kind=job.kind,
            dataset=job.dataset.slug,
            state=job.state,
            doing=job.doing,
            fraction=job.fraction,
            error=job.error,
            result=job.result.number if job.result else None,
            figures=job.figures,
        )


class DatasetJobList(Schema):
    jobs: list[DatasetJobOut]
    total: int


class RowOut(Schema):
    """A row, and what is known of it."""

    number: int = Field(description="From 0.")
    split: str
    row: dict[str, Any]
    characters: int
    problems: list[str]
    personal: list[str]

    @classmethod
    def of(cls, row: StoredRow) -> RowOut:
        return cls(
            number=row.number,
            split=row.split,
            row=row.value,
            characters=row.chars,
            problems=[str(bit.name) for bit in DESCRIPTIONS if bit & row.problems],
            personal=[str(bit.name) for bit in LABELS if bit & row.personal],
        )


class RowList(Schema):
    rows: list[RowOut]
    total: int | None = Field(description="Null where a search did not read to the end.")
    resume: int | None = Field(description="`offset` that a search goes on from.")

    @classmethod
    def of(cls, rows: Rows) -> RowList:
        found = [RowOut.of(row) for row in rows.rows]
        return cls(rows=found, total=rows.total, resume=rows.resume)


class Strict(Schema):
    """A body that holds nothing it is not asked for."""

    model_config = ConfigDict(extra="forbid")


class ImportOrder(Strict):
    """A source on the hub's machine."""

    path: str = Field(min_length=1, max_length=1000, pattern=r"^(/|~/)[^\x00]*$")
    name: str = Field(default="", max_length=100, description="Empty: as the file is called.")
