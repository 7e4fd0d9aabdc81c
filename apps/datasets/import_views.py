"""The page that takes data in: a path, a file from the browser, pasted rows."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from apps.datasets import services, uploads
from apps.datasets.authors import author_of
from apps.datasets.errors import DatasetError
from apps.datasets.formats.reading.source import SUFFIXES
from apps.datasets.forms import ImportForm, PasteForm, UploadForm, at_first_error
from apps.datasets.pasting import keep_pasted
from apps.uploads import pieces
from apps.uploads.pieces import UploadRefused

_ACCEPTED = ",".join((*SUFFIXES, ".gz", ".zst"))


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The whole page."""
    return _page(request)


@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Queues the import of a path; a form with mistakes comes back with them."""
    form = ImportForm(request.POST)
    if form.is_valid():
        try:
            job = services.order_import(**form.cleaned_data, by=author_of(request))
        except DatasetError as error:
            form.add_error("name", str(error))
        else:
            return redirect(job.dataset)
    return _page(request, form=form)


@require_POST
def paste(request: HttpRequest) -> HttpResponse:
    """Queues the import of pasted rows; text that can't be read comes back with the reason."""
    form = PasteForm(request.POST)
    if form.is_valid():
        values = form.cleaned_data
        try:
            path = keep_pasted(values["text"], values["format"], leave_out=values["leave_out"])
            job = uploads.order(path, values["paste_name"], by=author_of(request))
        except UploadRefused as error:
            form.add_error("text", str(error))
        except DatasetError as error:
            form.add_error("paste_name", str(error))
        else:
            return redirect(job.dataset)
    return _page(request, paste_form=form)


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
    url = reverse("datasets:import_piece", args=[upload.token])
    return JsonResponse({"url": url, "chunk_bytes": pieces.CHUNK_BYTES})


@require_POST
def upload_piece(request: HttpRequest, token: str) -> JsonResponse:
    """Takes the piece at ``?offset=``; the last one queues the import.

    The answer names the offset that is wanted next, also where a browser lost an answer.
    """
    try:
        upload = uploads.PLACE.resume(token)
        job = uploads.take(upload, *pieces.piece_of(request), by=author_of(request))
    except (UploadRefused, DatasetError) as error:
        return _refusal(str(error))
    if job is not None:
        return JsonResponse({"received": upload.size, "done": job.dataset.get_absolute_url()})
    return JsonResponse({"received": upload.received})


def _page(
    request: HttpRequest, form: ImportForm | None = None, paste_form: PasteForm | None = None
) -> HttpResponse:
    context: dict[str, Any] = {
        "form": at_first_error(form or ImportForm()),
        "paste_form": at_first_error(paste_form or PasteForm()),
        "accepted": _ACCEPTED,
    }
    return render(request, "data/import.html", context)


def _refusal(why: str) -> JsonResponse:
    """A failure that was foreseen is a normal answer, here as in the pages."""
    return JsonResponse({"error": why})
