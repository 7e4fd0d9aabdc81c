"""The forms of changes beside a version's rows, as they are or as they were refused.

What was typed for a refused change goes into the address of the page, where all of its state
is: the same form finds the same mistakes in it, and nothing has to be typed again. What the
worker refused later is in the job's order.
"""

from __future__ import annotations

from typing import Any

from django.forms import Form
from django.http import QueryDict
from django.urls import reverse
from django.utils.http import urlencode

from apps.datasets.formats.conditions import Condition
from apps.datasets.forms import (
    MergeForm,
    SampleForm,
    SelectionForm,
    SplitForm,
    TokensForm,
    at_first_error,
)
from apps.datasets.listing import place_in
from apps.datasets.models import DatasetJob, DatasetVersion

_Kind = DatasetJob.Kind
_REFUSED = "refused"
"""The address's word for the kind of change that was refused."""

_TYPED: dict[str, frozenset[str]] = {
    _Kind.DROP: frozenset({"where"}),
    _Kind.SPLIT: frozenset(SplitForm.base_fields),
    _Kind.SAMPLE: frozenset(SampleForm.base_fields),
    _Kind.MERGE: frozenset(MergeForm.base_fields),
    _Kind.TOKENS: frozenset({"model", "limit"}),
}
"""The fields of each change that somebody writes in."""

_MAX_TYPED = 1_000
"""Characters of one field that an address takes."""

_BOXES: dict[str, frozenset[str]] = {
    _Kind.DROP: frozenset({"row", "problem", "personal", "language"}),
    _Kind.MASK: frozenset({"row", "personal"}),
}
"""The boxes of each change that somebody ticks. Some are called like filters of the rows."""

_TICKED = "ticked"
"""The address's word for a box that was ticked, as in ``ticked=row:3``."""

_MAX_TICKED = 200
"""Boxes that an address takes; a page has about a quarter of that."""


def address_of(version: DatasetVersion, kind: str, data: QueryDict) -> str:
    """The page that has the form of a change, with what was typed and ticked for it."""
    fields = _TYPED.get(kind, frozenset())
    typed = {name: str(data[name])[:_MAX_TYPED] for name in data if name in fields}
    boxes = _BOXES.get(kind, frozenset())
    ticked = [f"{name}:{value}" for name in data if name in boxes for value in data.getlist(name)]
    query: dict[str, Any] = place_in(data.get("place", "")) | {"v": str(version.number)}
    query |= {_REFUSED: kind} | typed if fields else {}
    query |= {_TICKED: ticked[:_MAX_TICKED]} if ticked else {}
    page = "datasets:tokens" if kind == _Kind.TOKENS else "datasets:detail"
    return f"{reverse(page, args=[version.dataset.slug])}?{urlencode(query, doseq=True)}"


def shows_errors(kind: str, form: Form) -> bool:
    """Whether the page tells what is wrong with a form beside its fields."""
    return not _TYPED.get(kind, frozenset()).isdisjoint(form.errors)


def ticked(query: QueryDict) -> dict[str, set[str]]:
    """What was ticked for a change that was refused, by the names of the boxes."""
    found: dict[str, set[str]] = {name: set() for name in _BOXES[_Kind.DROP]}
    for each in query.getlist(_TICKED)[:_MAX_TICKED]:
        name, _, value = each.partition(":")
        if name in found:
            found[name].add(value)
    return found


def change_forms(version: DatasetVersion, query: QueryDict) -> dict[str, Form]:
    """Those of the rows' page, by their names in its template."""
    drop = _refused(version, _Kind.DROP)
    return {
        "where_form": at_first_error(
            SelectionForm(_typed(_Kind.DROP, query), rows=version.rows, initial=_where_of(drop))
        ),
        "split_form": at_first_error(
            SplitForm(_typed(_Kind.SPLIT, query), initial=_split_of(_refused(version, _Kind.SPLIT)))
        ),
        "sample_form": at_first_error(SampleForm(_typed(_Kind.SAMPLE, query), auto_id="sample-%s")),
        "merge_form": at_first_error(
            MergeForm(_typed(_Kind.MERGE, query), dataset=version.dataset)
        ),
    }


def tokens_form(query: QueryDict) -> TokensForm:
    """That of the tokens' page."""
    return at_first_error(TokensForm(_typed(_Kind.TOKENS, query)))


def _typed(kind: str, query: QueryDict) -> QueryDict | None:
    return query if query.get(_REFUSED) == kind else None


def _refused(version: DatasetVersion, kind: str) -> dict[str, Any]:
    """The order of the version's last job of a kind, where it failed; else nothing."""
    job = DatasetJob.objects.filter(base=version, kind=kind).order_by("-pk").first()
    return job.plan if job is not None and job.state == DatasetJob.State.FAILED else {}


def _split_of(plan: dict[str, Any]) -> dict[str, Any]:
    """The fields of a split's order."""
    return plan and plan | {name: round(100 * plan[name]) for name in ("valid", "test")}


def _where_of(plan: dict[str, Any]) -> dict[str, str]:
    """The condition of a removal's order."""
    where = [str(Condition.of_json(each)) for each in plan.get("where", ())]
    return {"where": where[0]} if len(where) == 1 else {}
