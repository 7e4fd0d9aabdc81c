"""Files of a version to take away."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_safe

from apps.datasets.errors import BadDataOrder
from apps.datasets.exporting import (
    FORMATS,
    require_format,
    split_file,
    splits_of,
    zipped,
)
from apps.datasets.streaming import attachment
from apps.datasets.views import dataset_of


@require_safe
def download(request: HttpRequest, slug: str, number: int, split: str) -> HttpResponseBase:
    """A split of a version as it is kept."""
    version = get_object_or_404(dataset_of(slug).versions, number=number)
    if split not in splits_of(version):
        raise Http404
    name = f"{slug}-{number}-{split}.jsonl"
    pieces = split_file(version, split)
    return attachment(request, pieces, name=name, content_type="application/jsonl")


@require_safe
def archive(request: HttpRequest, slug: str, number: int, format: str) -> HttpResponseBase:
    """All splits as a ZIP in one of the formats; a refusal is told on the versions' page."""
    version = get_object_or_404(dataset_of(slug).versions, number=number)
    if format not in FORMATS:
        raise Http404
    try:
        require_format(version, format, at_once=True)
    except BadDataOrder as error:
        messages.error(request, str(error))
        return redirect("datasets:versions", slug)
    pieces = zipped(version, format)
    name = f"{slug}-{number}-{format}.zip"
    return attachment(request, pieces, name=name, content_type="application/zip")
