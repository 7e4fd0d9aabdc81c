"""The mapping as the page's form has it: a role in each column's header, and templates."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.http import QueryDict

from apps.datasets.formats.conditions import MAX_CONDITIONS, Condition
from apps.datasets.formats.errors import BadMapping
from apps.datasets.formats.mapping import MAX_TEMPLATE, ROLES, Mapping, Target
from apps.datasets.models import DatasetJob, DatasetVersion
from apps.datasets.shown import Shown, shown

PREVIEWED = 4
"""Records that the page shows."""
KEEP = "keep"
MAX_SHOWN_COLUMNS = 60
COUNT_SECONDS = 0.15
_LOOK_EVERY = 100

LABELS = {
    Target.CHAT: "Conversation",
    Target.COMPLETION: "Prompt and completion",
    Target.TEXT: "Plain text",
    Target.PREFERENCE: "Preference pairs",
}


@dataclass(frozen=True)
class Column:
    """A column with the role that its header has chosen."""

    field: str
    """Name of the header's select."""
    name: str
    role: str


@dataclass(frozen=True)
class Template:
    """A role's template, which goes before what headers say."""

    role: str
    text: str


@dataclass(frozen=True)
class ConditionField:
    """One condition as it is written; the last of them is empty, for another."""

    name: str
    text: str


@dataclass(frozen=True)
class Counted:
    """How many records make a row."""

    taken: int
    read: int
    """Records that were looked at in the time that a page has."""
    total: int


@dataclass(frozen=True)
class MappingPage:
    """All that the mapping form shows."""

    target: Target
    columns: list[Column]
    templates: list[Template]
    conditions: list[ConditionField]
    hidden_columns: int

    @property
    def targets(self) -> list[tuple[str, str]]:
        return [(str(target), label) for target, label in LABELS.items()]

    @property
    def roles(self) -> tuple[str, ...]:
        return (*ROLES[self.target], KEEP)

    @property
    def mapping(self) -> Mapping:
        """Columns of one role are joined by blank lines; a template takes their place.

        Raises BadMapping where a condition can't be understood.
        """
        roles: dict[str, str] = {}
        for column in self.columns:
            if column.role and column.role != KEEP:
                part = "{" + column.name + "}"
                roles[column.role] = "\n\n".join(filter(None, [roles.get(column.role), part]))
        roles |= {each.role: each.text for each in self.templates if each.text}
        keep = tuple(column.name for column in self.columns if column.role == KEEP)
        where = tuple(Condition.of_text(each.text) for each in self.conditions if each.text)
        return Mapping(self.target, roles, keep, where)


def page_of(version: DatasetVersion, data: QueryDict) -> MappingPage:
    """The form as the address or the post has it; at first as was ordered last, or recognised."""
    names: list[str] = version.facts["columns"]
    if "target" not in data:
        return _filled(names, Mapping.of_json(_last_ordered(version) or version.facts["mapping"]))
    wanted = data.get("target", "")
    target = Target(wanted) if wanted in set(Target) else Target.CHAT
    allowed = {*ROLES[target], KEEP}
    columns = [
        Column(field, name, role if (role := data.get(field, "")) in allowed else "")
        for field, name in _fields(names)
    ]
    templates = [
        Template(role, data.get(f"template-{role}", "").replace("\r\n", "\n")[:MAX_TEMPLATE])
        for role in ROLES[target]
    ]
    return MappingPage(
        target, columns, templates, _conditions(data.getlist("where")), len(names) - len(columns)
    )


@dataclass(frozen=True)
class Preview:
    """What a mapping would make."""

    mapping: Mapping | None = None
    rows: tuple[Shown, ...] = ()
    counted: Counted | None = None
    problem: str = ""
    """Why it can't be used, if it can't."""


def preview_of(version: DatasetVersion, page: MappingPage) -> Preview:
    """The first records that make rows, as rows, and how many do."""
    try:
        mapping = page.mapping
        mapping.check(version.facts["columns"])
    except BadMapping as error:
        return Preview(problem=str(error))
    first = list(islice(filter(mapping.takes, _some_records(version)), PREVIEWED))
    rows = tuple(shown(mapping.apply(record)) for record in first)
    return Preview(mapping, rows, _counted(version, mapping) if mapping.where else None)


def _counted(version: DatasetVersion, mapping: Mapping) -> Counted:
    taken = read = 0
    for record in _some_records(version):
        read += 1
        taken += mapping.takes(record)
    return Counted(taken, read, version.rows)


def _some_records(version: DatasetVersion) -> Iterator[dict[str, Any]]:
    """All records, or those that can be read while a page is waited for."""
    deadline = time.monotonic() + COUNT_SECONDS
    for number, record in enumerate(version.files.values()):
        if number % _LOOK_EVERY == 0 and time.monotonic() > deadline:
            return
        yield record


def _conditions(texts: list[str]) -> list[ConditionField]:
    given = [text.strip()[:MAX_TEMPLATE] for text in texts if text.strip()][:MAX_CONDITIONS]
    return [ConditionField(f"where-{number}", text) for number, text in enumerate([*given, ""])]


def records(version: DatasetVersion) -> list[dict[str, Any]]:
    """The first records of a version."""
    return [version.files.at(number).value for number in range(min(PREVIEWED, version.rows))]


def _last_ordered(version: DatasetVersion) -> dict[str, Any] | None:
    """The mapping that a job was to make, whatever became of it: nobody has to think of it twice."""
    job = DatasetJob.objects.filter(base=version, kind=DatasetJob.Kind.MAP).order_by("-pk").first()
    return job.plan["mapping"] if job is not None else None


def _filled(names: list[str], mapping: Mapping) -> MappingPage:
    """Plain columns in the headers, all else as templates."""
    by_source = {"{" + name + "}": KEEP for name in mapping.keep}
    by_source |= {source: role for role, source in mapping.roles.items()}
    columns = [
        Column(field, name, by_source.get("{" + name + "}", "")) for field, name in _fields(names)
    ]
    placed = {column.role for column in columns}
    templates = [
        Template(role, "" if role in placed else mapping.roles.get(role, ""))
        for role in ROLES[mapping.target]
    ]
    return MappingPage(
        mapping.target,
        columns,
        templates,
        _conditions(list(map(str, mapping.where))),
        len(names) - len(columns),
    )


def _fields(names: list[str]) -> list[tuple[str, str]]:
    return [(f"column-{number}", name) for number, name in enumerate(names[:MAX_SHOWN_COLUMNS])]
