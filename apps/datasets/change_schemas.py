"""The JSON of changes to a version: which of its rows, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from apps.datasets.formats.checks import Problem
from apps.datasets.formats.conditions import MAX_CONDITIONS, Condition
from apps.datasets.formats.mapping import MAX_TEMPLATE, Mapping, Target
from apps.datasets.formats.personal import Personal
from apps.datasets.schemas import LanguageCode, PersonalName, ProblemName, Strict

MAX_SEED = 2**31 - 1

FieldPath = Annotated[str, StringConstraints(max_length=200)]
RowNumber = Annotated[int, Field(ge=0, le=2**32 - 1)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Template = Annotated[str, StringConstraints(max_length=MAX_TEMPLATE)]


class ConditionIn(Strict):
    """A comparison of a column, or of a nested field by its dotted path."""

    field: FieldPath = Field(min_length=1)
    operator: Literal["=", "!=", "~", "!~", ">=", "<=", ">", "<"] = Field(
        description="`~` and `!~`: whether it contains the value."
    )
    value: str = Field(default="", max_length=1000)

    def condition(self) -> Condition:
        return Condition(self.field, self.operator, self.value)


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
