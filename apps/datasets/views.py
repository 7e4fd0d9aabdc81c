"""The Data pages: the datasets, one's rows and what is wrong with them, its versions."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRefresh

from apps.datasets import services
from apps.datasets.change_forms import change_forms, ticked
from apps.datasets.diff import difference
from apps.datasets.errors import DatasetError, DatasetNotFound
from apps.datasets.exporting import formats_of
from apps.datasets.formats.store.index import SPLITS
from apps.datasets.listing import listing_of
from apps.datasets.models import Dataset, DatasetJob, DatasetVersion
from apps.datasets.shown import (
    bars_of,
    language_counts,
    personal_counts,
    problem_counts,
    unreadable_of,
)
from apps.jobs import control
from apps.rendering.htmx import HtmxHttpRequest, part_of

_RECENT = 3
"""Jobs that are over and still shown, but for those that were done after all."""


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """All datasets, the newest first."""
    datasets = list(Dataset.objects.newest_first())
    active = services.active_jobs(datasets)
    rows = [(dataset, active.get(dataset.pk)) for dataset in datasets]
    return render(request, "data/home.html", {"rows": rows})


@require_safe
def detail(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """One version's rows, filtered and searched as the address says; for htmx the table."""
    dataset = dataset_of(slug)
    version = version_of(dataset, request)
    if version is None:
        return render(request, "data/empty.html", frame(dataset, None, "rows"))
    context = frame(dataset, version, "rows") | {
        "listing": listing_of(version, request.GET),
        "ticked": ticked(request.GET),
    }
    if request.htmx and request.htmx.target == "rows":
        return render(request, "data/detail.html#rows", context)
    context |= _side(version) | change_forms(version, request.GET)
    return render(request, "data/detail.html", context)


@require_safe
def versions(request: HttpRequest, slug: str) -> HttpResponse:
    """Every version with what it changed of its parent."""
    dataset = dataset_of(slug)
    listed = list(dataset.versions.select_related("parent"))
    rows = [(version, difference(version)) for version in listed]
    return render(
        request, "data/versions.html", frame(dataset, dataset.head, "versions") | {"rows": rows}
    )


@require_POST
def restore(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """The dataset stands for this version again."""
    dataset = dataset_of(slug)
    version = get_object_or_404(dataset.versions, number=number)
    try:
        services.restore(version=version)
    except DatasetError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{dataset.name} is at version {number}.")
    return redirect(
        "datasets:detail" if request.GET.get("to") == "rows" else "datasets:versions", slug
    )


@require_POST
def delete(request: HttpRequest, slug: str) -> HttpResponse:
    """Forgets a dataset with all its versions."""
    dataset = dataset_of(slug)
    try:
        services.delete_dataset(dataset=dataset)
    except DatasetError as error:
        messages.error(request, str(error))
        return redirect("datasets:versions", slug)
    messages.success(request, f"{dataset.name} is deleted.")
    return redirect("datasets:home")


@require_safe
@part_of("datasets:detail")
def jobs(request: HttpRequest, slug: str) -> HttpResponse:
    """What is at work on a dataset. Once nothing is, the page around it is old: it reloads."""
    context = _jobs(dataset_of(slug))
    if not context["active"]:
        return HttpResponseClientRefresh()
    return render(request, "data/jobs.html", context)


@require_POST
def cancel(request: HtmxHttpRequest, slug: str, key: int) -> HttpResponse:
    """Ends a job; the version stays as it was."""
    job = get_object_or_404(DatasetJob, pk=key, dataset=dataset_of(slug))
    control.cancel(job)
    if request.htmx:
        return render(request, "data/jobs.html", _jobs(job.dataset))
    return redirect("datasets:detail", slug)


def dataset_of(slug: str) -> Dataset:
    """Raises Http404."""
    try:
        return Dataset.objects.named(slug)
    except DatasetNotFound as error:
        raise Http404(str(error)) from error


def version_of(dataset: Dataset, request: HttpRequest) -> DatasetVersion | None:
    """The version of the address (``?v=2``), else the present one. Raises Http404."""
    wanted = request.GET.get("v", "")
    if not wanted:
        return dataset.head
    if not wanted.isdecimal() or len(wanted) > 9:
        raise Http404
    return get_object_or_404(dataset.versions, number=int(wanted))


def frame(dataset: Dataset, version: DatasetVersion | None, tab: str) -> dict[str, Any]:
    """What every page of a dataset shows. ``tab``: rows, map, tokens or versions."""
    return {
        "tab": tab,
        "dataset": dataset,
        "version": version,
        "is_head": version is not None and version.pk == dataset.head_id,
        "columns_version": dataset.versions.filter(kind=DatasetVersion.Kind.UNMAPPED).first(),
    } | _jobs(dataset)


def _side(version: DatasetVersion) -> dict[str, Any]:
    origin = version.origin
    return {
        "problems": problem_counts(version) if version.is_mapped else [],
        "personal": personal_counts(version),
        "languages": language_counts(version) if version.is_mapped else [],
        "unreadable": unreadable_of(origin),
        "origin": origin,
        "bars": bars_of(version.facts["lengths"]),
        "splits": SPLITS,
        "formats": formats_of(version),
    }


def _jobs(dataset: Dataset) -> dict[str, Any]:
    mine = DatasetJob.objects.of(dataset)
    over, mended = [], set()
    for job in mine.ended()[:_RECENT]:
        if job.state == DatasetJob.State.DONE:
            mended.add(job.kind)
        elif job.kind not in mended:
            over.append(job)
    active = list(mine.active())
    # A job that ended since the page's dataset was read: the page is old before it is shown.
    moved = not Dataset.objects.filter(pk=dataset.pk, head=dataset.head_id).exists()
    return {"dataset": dataset, "active": active, "over": over, "moved": moved}
