"""The Import page: what was found here, a path, an upload; and the imports under way."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import trigger_client_event

from apps.jobs import control
from apps.models.errors import RegistryError
from apps.models.found.scan import Find, found
from apps.models.importing import orders, uploads
from apps.models.importing.forms import ImportForm, UploadForm
from apps.models.models import LocalModel
from apps.models.runtime.errors import RuntimeFault
from apps.models.work.models import ModelJob
from apps.rendering.htmx import HtmxHttpRequest, part_of
from apps.uploads import pieces
from apps.uploads.pieces import UploadRefused, WrongPlace

RECENT = 5
"""Imports that are over and still shown."""


@dataclass(frozen=True)
class FoundRow:
    """A find, and the model it became where it was imported."""

    find: Find
    model: LocalModel | None
    is_queued: bool
    """Whether it is being imported."""


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The whole page. Looks for models each time: other programs add and remove theirs."""
    return render(request, "models/import.html", _page(ImportForm()))


@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Queues an import; a form with mistakes comes back with them."""
    form = ImportForm(request.POST)
    if not form.is_valid():
        return render(request, "models/import.html", _page(form))
    orders.start(order=form.order)
    return redirect(_jobs_url())


@require_safe
@part_of("models:import")
def jobs(request: HttpRequest) -> HttpResponse:
    """The imports under way and the latest that are over, for a page that follows them.

    The answer without one under way is the last: what was found is then to be looked at anew.
    """
    under_way = _jobs()
    response = render(request, "models/import.html#jobs", under_way)
    if not under_way["active"]:
        trigger_client_event(response, "hub:imported", after="swap")
    return response


@require_POST
def cancel(request: HtmxHttpRequest, key: int) -> HttpResponse:
    """Ends an import."""
    control.cancel(get_object_or_404(ModelJob, pk=key, kind=ModelJob.Kind.IMPORT))
    if request.htmx:
        return render(request, "models/import.html#jobs", _jobs())
    return redirect(_jobs_url())


@require_POST
def begin_upload(request: HttpRequest) -> JsonResponse:
    """Answers where the browser may send the pieces of a file, and how large they are."""
    form = UploadForm(request.POST)
    if not form.is_valid():
        return _refusal("The file's name or size can't be used. Choose another.")
    try:
        upload = uploads.begin(**form.cleaned_data)
    except UploadRefused as error:
        return _refusal(str(error))
    url = reverse("models:import_piece", args=[upload.token])
    return JsonResponse({"url": url, "chunk_bytes": pieces.CHUNK_BYTES})


@require_POST
def upload_piece(request: HttpRequest, token: str) -> JsonResponse:
    """Takes the piece at ``?offset=``; the last one queues the import.

    The answer names the offset that is wanted next, also where a browser lost an answer.
    """
    try:
        upload = uploads.PLACE.resume(token)
        uploads.append(upload, *pieces.piece_of(request))
        if upload.is_whole:
            orders.start(order=orders.uploaded(upload.path, upload.name))
            return JsonResponse({"received": upload.size, "done": _jobs_url()})
    except WrongPlace as error:
        return JsonResponse({"received": error.received})
    except (UploadRefused, RuntimeFault, RegistryError) as error:
        return _refusal(str(error))
    return JsonResponse({"received": upload.received})


def _jobs_url() -> str:
    return f"{reverse('models:import')}#jobs"


def _refusal(why: str) -> JsonResponse:
    """A failure that was foreseen is a normal answer, here as in the pages."""
    return JsonResponse({"error": why})


def _page(form: ImportForm) -> dict[str, Any]:
    rows = _rows(found())
    groups = [(place, list(group)) for place, group in groupby(rows, lambda row: row.find.place)]
    return {"form": form, "groups": groups} | _jobs()


def _rows(finds: list[Find]) -> list[FoundRow]:
    models = {model.pk: model for model in LocalModel.objects.only("slug", "name", "path")}
    by_path = {model.path: model for model in models.values()}
    imports = ModelJob.objects.filter(kind=ModelJob.Kind.IMPORT)
    done = imports.filter(result__isnull=False).values_list("plan__path", "result_id")
    by_source = {path: models[result] for path, result in done if result in models}
    queued = set(imports.active().values_list("plan__path", flat=True))
    paths = [(find, str(find.path)) for find in finds]
    return [
        FoundRow(find, by_path.get(path) or by_source.get(path), path in queued)
        for find, path in paths
    ]


def _jobs() -> dict[str, Any]:
    imports = ModelJob.objects.filter(kind=ModelJob.Kind.IMPORT)
    over = imports.exclude(state__in=(ModelJob.State.QUEUED, ModelJob.State.RUNNING))
    active = list(imports.active())
    return {"active": active, "over": list(over.select_related("result").order_by("-pk")[:RECENT])}
