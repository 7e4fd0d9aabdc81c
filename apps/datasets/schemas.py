"""The JSON of /api/datasets."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import ConfigDict, Field, StringConstraints

from apps.datasets.formats.checks import DESCRIPTIONS, Problem
from apps.datasets.formats.conditions import MAX_CONDITIONS, Condition
from apps.datasets.formats.mapping import MAX_TEMPLATE, Mapping, Target
from apps.datasets.formats.personal import LABELS, Personal
from apps.datasets.formats.store.reading import Rows, StoredRow
from apps.datasets.models import Dataset, DatasetJob, DatasetVersion

MAX_SEED = 2**31 - 1

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
FieldPath = Annotated[str, StringConstraints(max_length=200)]
RowNumber = Annotated[int, Field(ge=0, le=2**32 - 1)]
LanguageCode = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Template = Annotated[str, StringConstraints(max_length=MAX_TEMPLATE)]


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


class ConditionIn(Strict):
    """A comparison of a column, or of a nested field by its dotted path."""

    field: FieldPath = Field(min_length=1)
    operator: Literal["=", "!=", "~", "!~", ">=", "<=", ">", "<"] = Field(
        description="`~` and `!~`: whether it contains the value."
    )
    value: str = Field(default="", max_length=1000)

    def condition(self) -> Condition:
        return Condition(self.field, self.operator, self.value)


class ImportOrder(Strict):
    """A source on the hub's machine."""

    path: str = Field(min_length=1, max_length=1000, pattern=r"^(/|~/)[^\x00]*$")
    name: str = Field(default="", max_length=100, description="Empty: as the file is called.")


class MapOrder(Strict):
    """Make rows of imported columns. Sources are templates: `{column}`, `{column.field}`.

    Records that do not meet every condition of `where` make no row.
    """

    kind: Literal["map"]
    target: Target
    roles: dict[str, Template] = Field(max_length=10)
    keep: list[FieldPath] = Field(default_factory=list, max_length=50)
    where: list[ConditionIn] = Field(default_factory=list, max_length=MAX_CONDITIONS)

    def plan(self) -> dict[str, Any]:
        where = tuple(each.condition() for each in self.where)
        return {"mapping": Mapping(self.target, self.roles, tuple(self.keep), where).as_json()}


class DropOrder(Strict):
    """Leave out rows that are chosen by any of these; of `where` all have to hold."""

    kind: Literal["drop"]
    problems: list[ProblemName] = Field(default_factory=list, max_length=50)
    personal: list[PersonalName] = Field(default_factory=list, max_length=50)
    rows: list[RowNumber] = Field(default_factory=list, max_length=10_000)
    languages: list[LanguageCode] = Field(
        default_factory=list, max_length=200, description="Once they were looked at."
    )
    longer_than: Annotated[int, Field(ge=0, le=10**7)] = Field(
        default=0, description="Tokens, once they were counted; 0: any length."
    )
    where: list[ConditionIn] = Field(default_factory=list, max_length=MAX_CONDITIONS)

    def plan(self) -> dict[str, Any]:
        return {
            "problems": int(_all(Problem, self.problems)),
            "personal": int(_all(Personal, self.personal)),
            "rows": self.rows,
            "languages": self.languages,
            "longer_than": self.longer_than,
            "where": [each.condition().as_json() for each in self.where],
        }


class MaskOrder(Strict):
    """Put the kind in place of personal data, as `[EMAIL]`; in these rows, or in all."""

    kind: Literal["mask"]
    personal: list[PersonalName] = Field(min_length=1, max_length=50)
    rows: list[RowNumber] = Field(default_factory=list, max_length=10_000)

    def plan(self) -> dict[str, Any]:
        return {"personal": int(_all(Personal, self.personal)), "rows": self.rows}


class SplitOrder(Strict):
    """Divide the rows; equal rows stay together."""

    kind: Literal["split"]
    # Together they leave something to train on, whatever the two are.
    valid: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    test: Annotated[float, Field(ge=0, le=0.4)] = 0.0
    seed: Seed = 0
    group_by: FieldPath = Field(default="", description="Rows that agree in it stay together.")
    stratify_by: FieldPath = Field(default="", description="Each of its values is split alike.")

    def plan(self) -> dict[str, Any]:
        return self.model_dump(exclude={"kind"})


class SampleOrder(Strict):
    """Shuffle the training rows and keep so many of them; 0: all."""

    kind: Literal["sample"]
    rows: Annotated[int, Field(ge=0, le=10**9)] = 0
    seed: Seed = 0

    def plan(self) -> dict[str, Any]:
        return self.model_dump(exclude={"kind"})


class EditOrder(Strict):
    """Put rows in place of others, by number from 0, and add some."""

    kind: Literal["edit"]
    changed: dict[Annotated[str, StringConstraints(pattern=r"^\d{1,9}$")], dict[str, Any]] = Field(
        default_factory=dict, max_length=1_000
    )
    added: list[dict[str, Any]] = Field(default_factory=list, max_length=1_000)

    def plan(self) -> dict[str, Any]:
        return self.model_dump(exclude={"kind"})


class LanguagesOrder(Strict):
    """Look at the language of every row's answer."""

    kind: Literal["languages"]

    def plan(self) -> dict[str, Any]:
        return {}


class NearOrder(Strict):
    """Look for rows that are nearly equal."""

    kind: Literal["near"]

    def plan(self) -> dict[str, Any]:
        return {}


def _all(bits: type[Problem] | type[Personal], names: Iterable[str]) -> int:
    return sum(int(bits[name]) for name in set(names))
