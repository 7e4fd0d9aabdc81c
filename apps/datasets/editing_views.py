"""Pages that order changes: the mapping, changes in bulk, one row."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from apps.datasets import services
from apps.datasets.authors import author_of
from apps.datasets.change_forms import address_of, shows_errors
from apps.datasets.errors import DatasetError
from apps.datasets.formats.conditions import OPERATORS
from apps.datasets.formats.errors import FormatError
from apps.datasets.forms import (
    MaskForm,
    MergeForm,
    RowForm,
    SampleForm,
    SelectionForm,
    SplitForm,
    TokensForm,
)
from apps.datasets.mapping_page import page_of, preview_of, records
from apps.datasets.models import DatasetJob, DatasetVersion
from apps.datasets.shown import labels_of, parts_of
from apps.datasets.views import dataset_of, frame, version_of
from apps.rendering.htmx import HtmxHttpRequest

_Kind = DatasetJob.Kind


@require_http_methods(["GET", "HEAD", "POST"])
def mapping(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Columns with their roles, and the first rows as they would be; a post makes all of them."""
    dataset = dataset_of(slug)
    version = dataset.versions.filter(kind=DatasetVersion.Kind.UNMAPPED).first()
    if version is None:
        raise Http404
    page = page_of(version, request.POST if request.method == "POST" else request.GET)
    preview = preview_of(version, page)
    if request.method == "POST" and preview.mapping is not None:
        try:
            return _ordered(request, version, _Kind.MAP, {"mapping": preview.mapping.as_json()})
        except (DatasetError, FormatError) as error:
            preview = replace(preview, problem=str(error))
    context = frame(dataset, version, "map") | {
        "page": page,
        "preview": preview,
        "refused": preview.problem if request.method == "POST" else "",
        "operators": OPERATORS.items(),
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
    form = _CHANGES[kind](request, version)
    if form is None or form.is_valid():
        try:
            return _ordered(request, version, kind, _plan(form))
        except (DatasetError, FormatError) as error:
            messages.error(request, str(error))
    elif not shows_errors(kind, form):
        messages.error(request, _first_error(form))
    return redirect(address_of(version, kind, request.POST))


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
        try:
            return _ordered(request, version, _Kind.EDIT, plan)
        except DatasetError as error:
            form.add_error("row", str(error))
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
    try:
        return _ordered(request, version, _Kind.DROP, {"rows": [number]})
    except DatasetError as error:
        messages.error(request, str(error))
        return redirect(dataset)


_CHANGES: dict[str, Callable[[HttpRequest, DatasetVersion], Form | None]] = {
    _Kind.DROP: lambda request, version: SelectionForm(request.POST, rows=version.rows),
    _Kind.MASK: lambda request, version: MaskForm(request.POST, rows=version.rows),
    _Kind.SPLIT: lambda request, version: SplitForm(request.POST),
    _Kind.SAMPLE: lambda request, version: SampleForm(request.POST),
    _Kind.MERGE: lambda request, version: MergeForm(request.POST, dataset=version.dataset),
    _Kind.TOKENS: lambda request, version: TokensForm(request.POST),
    _Kind.NEAR: lambda request, version: None,
    _Kind.LANGUAGES: lambda request, version: None,
}
"""The form of each change that has an address."""


def _first_error(form: Form) -> str:
    field, errors = next(iter(form.errors.items()))
    named = "" if field == "__all__" else f"{form.fields[field].label}: "
    return f"{named}{errors[0]}"


def _plan(form: Form | None) -> dict[str, Any]:
    match form:
        case None:
            return {}
        case SelectionForm() | SplitForm():
            return form.plan()
        case MergeForm():
            return {"other": form.cleaned_data["other"].head_id}
        case TokensForm():
            values = form.cleaned_data
            return {"model": values["model"].pk, "limit": values["limit"]}
        case _:
            return form.cleaned_data


def _ordered(
    request: HttpRequest, version: DatasetVersion, kind: str, plan: dict[str, Any]
) -> HttpResponse:
    """The page where the job is followed. Raises DatasetError, FormatError."""
    job = services.order(version=version, kind=kind, plan=plan, by=author_of(request))
    page = "datasets:tokens" if job.kind == _Kind.TOKENS else "datasets:detail"
    return redirect(page, version.dataset.slug)


def _cells(record: dict[str, Any], columns: list[Any]) -> list[str]:
    shown = {part.role: part.text for part in parts_of(record)}
    values = [record.get(column.name) for column in columns]
    return [
        shown.get(column.name) or ("" if value is None else str(value))[:300]
        for column, value in zip(columns, values, strict=True)
    ]
