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
)
from apps.inference.api.errors import ErrorResponse
from apps.jobs.rest import JobRoutes, Limit, Offset, StateName

router = Router(tags=["Downloads"])

jobs = JobRoutes(
    router,
    "/downloads",
    rows=Download.objects.newest_first,
    out=DownloadOut,
    fault=ErrorResponse,
    called="download",
    code="download_not_found",
)


@router.get("/downloads", response=DownloadList, summary="List downloads")
def list_downloads(
    request: HttpRequest,
    state: Annotated[StateName | None, Query(description="Only those in this state.")] = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> DownloadList:
    """The newest first, whatever became of them."""
    downloads = Download.objects.newest_first()
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


@jobs.show(summary="One download")
def get_download(download: Download) -> DownloadOut:
    """How far it is, or what came of it."""
    return DownloadOut.of(download)


@jobs.action("pause", summary="Pause a download")
def pause_download(download: Download) -> None:
    """A running one stops within seconds and keeps its files; one that is over stays as it is."""
    services.pause(download=download)


@jobs.action("resume", summary="Resume a download", refusals=(409,))
def resume_download(download: Download) -> None:
    """Goes on from what is here, whether it was paused, failed or cancelled."""
    services.resume(download=download)


@jobs.action("cancel", summary="Cancel a download")
def cancel_download(download: Download) -> None:
    """Ends it and removes its files; one that is done stays as it is."""
    services.cancel(download=download)


@jobs.action("first", summary="Put a download first")
def put_download_first(download: Download) -> None:
    """Makes it the next one that begins."""
    services.put_first(download=download)


@jobs.removal(summary="Forget a download")
def forget_download(download: Download) -> None:
    """Takes one that is over off the list; its model or dataset stays."""
    services.forget(download=download)
