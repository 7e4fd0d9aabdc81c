"""Pages that order changes: the mapping, changes in bulk, one row."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from apps.datasets import services
from apps.datasets.errors import DatasetError
from apps.datasets.formats.errors import FormatError
from apps.datasets.forms import BitsForm, MergeForm, RowForm, SampleForm, SplitForm, TokensForm
from apps.datasets.mapping_page import page_of, previews, records
from apps.datasets.models import Dataset, DatasetJob, DatasetVersion
from apps.datasets.shown import labels_of, parts_of
from apps.datasets.views import HtmxHttpRequest, dataset_of, frame, version_of

_Kind = DatasetJob.Kind


@require_http_methods(["GET", "HEAD", "POST"])
def mapping(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Columns with their roles, and the first rows as they would be; a post makes all of them."""
    dataset = dataset_of(slug)
    version = dataset.versions.filter(kind=DatasetVersion.Kind.UNMAPPED).first()
    if version is None:
        raise Http404
    page = page_of(version, request.POST if request.method == "POST" else request.GET)
    rows, problem = previews(version, page.mapping)
    if request.method == "POST" and not problem:
        plan = {"mapping": page.mapping.as_json()}
        return _ordered(request, dataset, lambda: services.order(
            version=version, kind=_Kind.MAP, plan=plan
        ))  # fmt: skip
    context = frame(dataset, version, "map") | {
        "page": page,
        "previews": rows,
        "problem": problem,
        "records": [_cells(record, page.columns) for record in records(version)],
    }
    template = "data/map.html#form" if request.htmx else "data/map.html"
    return render(request, template, context)


@require_POST
def change(request: HttpRequest, slug: str, kind: str) -> HttpResponse:
    """Orders a change of the present version, or an examination of it."""
    dataset = dataset_of(slug)
    version = version_of(dataset, request)
    if version is None or kind not in _CHANGES:
        raise Http404
    form = _CHANGES[kind](request, dataset)
    if form is None:
        plan: dict[str, Any] = {}
    elif not form.is_valid():
        field, errors = next(iter(form.errors.items()))
        named = "" if field == "__all__" else f"{form.fields[field].label}: "
        messages.error(request, f"{named}{errors[0]}")
        return redirect(dataset)
    else:
        plan = _plan(form)
    return _ordered(request, dataset, lambda: services.order(version=version, kind=kind, plan=plan))


@require_http_methods(["GET", "HEAD", "POST"])
def row(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """One row, and a form to edit it. ``number`` counts from 0."""
    dataset = dataset_of(slug)
    version = version_of(dataset, request)
    if version is None or number >= version.rows:
        raise Http404
    stored = version.files.at(number)
    form = RowForm(
        request.POST if request.method == "POST" else None,
        initial={"row": json.dumps(stored.value, indent=2, ensure_ascii=False)},
    )
    if request.method == "POST" and form.is_valid():
        plan = {"changed": {str(number): form.cleaned_data["row"]}}
        return _ordered(
            request, dataset, lambda: services.order(version=version, kind=_Kind.EDIT, plan=plan)
        )
    context = frame(dataset, version, "rows") | {
        "row": stored,
        "number": number,
        "ordinal": number + 1,
        "parts": parts_of(stored.value),
        "labels": labels_of(stored.problems, stored.personal),
        "form": form,
        "tokens_form": TokensForm(),
        "previous": number - 1 if number else None,
        "next": number + 1 if number + 1 < version.rows else None,
    }
    return render(request, "data/row.html", context)


@require_POST
def delete_row(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Orders a version without this row."""
    dataset = dataset_of(slug)
    version = version_of(dataset, request)
    if version is None or number >= version.rows:
        raise Http404
    return _ordered(
        request,
        dataset,
        lambda: services.order(version=version, kind=_Kind.DROP, plan={"rows": [number]}),
    )


_CHANGES: dict[str, Callable[[HttpRequest, Dataset], Form | None]] = {
    _Kind.DROP: lambda request, dataset: BitsForm(request.POST),
    _Kind.MASK: lambda request, dataset: BitsForm(request.POST),
    _Kind.SPLIT: lambda request, dataset: SplitForm(request.POST),
    _Kind.SAMPLE: lambda request, dataset: SampleForm(request.POST),
    _Kind.MERGE: lambda request, dataset: MergeForm(request.POST, dataset=dataset),
    _Kind.TOKENS: lambda request, dataset: TokensForm(request.POST),
    _Kind.NEAR: lambda request, dataset: None,
}
"""The form of each change that has an address."""


def _plan(form: Form) -> dict[str, Any]:
    match form:
        case BitsForm() | SplitForm():
            return form.plan()
        case MergeForm():
            return {"other": form.cleaned_data["other"].head_id}
        case TokensForm():
            values = form.cleaned_data
            return {"model": values["model"].pk, "limit": values["limit"]}
        case _:
            return form.cleaned_data


def _ordered(
    request: HttpRequest, dataset: Dataset, order: Callable[[], DatasetJob]
) -> HttpResponse:
    """The page where the job is followed, or told why there is none."""
    try:
        job = order()
    except (DatasetError, FormatError) as error:
        messages.error(request, str(error))
        return redirect(dataset)
    if job.kind == _Kind.TOKENS:
        return redirect("datasets:tokens", dataset.slug)
    return redirect(dataset)


def _cells(record: dict[str, Any], columns: list[Any]) -> list[str]:
    shown = {part.role: part.text for part in parts_of(record)}
    values = [record.get(column.name) for column in columns]
    return [
        shown.get(column.name) or ("" if value is None else str(value))[:300]
        for column, value in zip(columns, values, strict=True)
    ]
