"""Downloads over REST, under /api/downloads."""

from __future__ import annotations

from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router, Status

from apps.discovery.downloads import services
from apps.discovery.downloads.models import Download
from apps.discovery.downloads.schemas import (
    DownloadList,
    DownloadOut,
    DownloadRequest,
    OrderOut,
    State,
)
from apps.inference.api.errors import ErrorResponse

router = Router(tags=["Downloads"])


class DownloadNotFound(Exception):
    """There is no download of this number."""


@router.get("/downloads", response=DownloadList, summary="List downloads")
def list_downloads(
    request: HttpRequest,
    state: Annotated[State | None, Query(description="Only those in this state.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> DownloadList:
    """The newest first, whatever became of them."""
    downloads = Download.objects.select_related("model", "dataset")
    if state is not None:
        downloads = downloads.filter(state=state)
    page = downloads[offset : offset + limit]
    return DownloadList(
        downloads=[DownloadOut.of(download) for download in page], total=downloads.count()
    )


@router.post(
    "/downloads",
    response={201: OrderOut, 200: OrderOut, (400, 403, 404, 409, 503, 507): ErrorResponse},
    summary="Download a model",
)
def order_download(request: HttpRequest, payload: DownloadRequest) -> Status[OrderOut]:
    """Asks the hub for the exact files and queues them; 200 where they are here or on their way."""
    ordered = services.start(
        repo_id=payload.repo_id, revision=payload.revision or None, slug=payload.name or None
    )
    new = ordered.download is not None and not ordered.joined
    return Status(201 if new else 200, OrderOut.of(ordered))


@router.get(
    "/downloads/{int:key}",
    response={200: DownloadOut, 404: ErrorResponse},
    summary="One download",
)
def get_download(request: HttpRequest, key: int) -> DownloadOut:
    """How far it is, or what came of it."""
    return DownloadOut.of(_download(key))


@router.post(
    "/downloads/{int:key}/pause",
    response={200: DownloadOut, 404: ErrorResponse},
    summary="Pause a download",
)
def pause_download(request: HttpRequest, key: int) -> DownloadOut:
    """A running one stops within seconds and keeps its files; one that is over stays as it is."""
    download = _download(key)
    services.pause(download=download)
    return DownloadOut.of(download)


@router.post(
    "/downloads/{int:key}/resume",
    response={200: DownloadOut, (404, 409): ErrorResponse},
    summary="Resume a download",
)
def resume_download(request: HttpRequest, key: int) -> DownloadOut:
    """Goes on from what is here, whether it was paused, failed or cancelled."""
    download = _download(key)
    services.resume(download=download)
    return DownloadOut.of(download)


@router.post(
    "/downloads/{int:key}/cancel",
    response={200: DownloadOut, 404: ErrorResponse},
    summary="Cancel a download",
)
def cancel_download(request: HttpRequest, key: int) -> DownloadOut:
    """Ends it and removes its files; one that is done stays as it is."""
    download = _download(key)
    services.cancel(download=download)
    return DownloadOut.of(download)


@router.post(
    "/downloads/{int:key}/first",
    response={200: DownloadOut, 404: ErrorResponse},
    summary="Put a download first",
)
def put_download_first(request: HttpRequest, key: int) -> DownloadOut:
    """Makes it the next one that begins."""
    download = _download(key)
    services.put_first(download=download)
    return DownloadOut.of(download)


@router.delete(
    "/downloads/{int:key}",
    response={204: None, (404, 409): ErrorResponse},
    summary="Forget a download",
)
def forget_download(request: HttpRequest, key: int) -> Status[None]:
    """Takes one that is over off the list; its model or dataset stays."""
    services.forget(download=_download(key))
    return Status(204, None)


def _download(key: int) -> Download:
    download = Download.objects.select_related("model", "dataset").filter(pk=key).first()
    if download is None:
        raise DownloadNotFound(f"There is no download {key}.")
    return download
