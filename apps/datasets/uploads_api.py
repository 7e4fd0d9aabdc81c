"""Files that a program sends to become datasets, piece by piece: /api/uploads."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import Field

from apps.datasets import uploads
from apps.datasets.authors import author_of
from apps.datasets.errors import BadDataOrder, DatasetNotFound
from apps.datasets.schemas import DatasetFault, DatasetJobOut, Strict
from apps.uploads import pieces
from apps.uploads.pieces import UploadRefused

router = Router(tags=["Uploads"])

MAX_TOKEN = 1_000

_PIECE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class UploadIn(Strict):
    """A file that is to be sent."""

    file: str = Field(
        min_length=1, max_length=pieces.MAX_NAME, description="Its name, with its suffix."
    )
    size: Annotated[int, Field(ge=1, le=2**50, description="Bytes.")]


class UploadOut(Strict):
    """Where its pieces go."""

    token: str = Field(description="Part of the address that its pieces go to; good for a day.")
    piece_bytes: int = Field(description="What one piece may have at most.")


class ReceivedOut(Strict):
    """How much of a file is here."""

    received: int = Field(description="Bytes, which is where the next piece begins.")
    job: DatasetJobOut | None = Field(description="Its import, once the file is whole.")


@router.post(
    "/uploads", response={201: UploadOut, 400: DatasetFault}, summary="Begin to send a file"
)
def begin_upload(request: HttpRequest, payload: UploadIn) -> Status[UploadOut]:
    """A file of rows, or a ZIP of such files."""
    try:
        upload = uploads.begin(name=payload.file, size=payload.size)
    except UploadRefused as error:
        raise BadDataOrder(str(error)) from error
    return Status(201, UploadOut(token=upload.token, piece_bytes=pieces.CHUNK_BYTES))


@router.put(
    "/uploads/{str:token}",
    response={200: ReceivedOut, (400, 404): DatasetFault},
    summary="Send a piece of a file",
    openapi_extra=_PIECE,
)
def send_piece(
    request: HttpRequest,
    token: str,
    offset: Annotated[int, Query(ge=0, le=2**50, description="Where in the file it begins.")],
    name: Annotated[
        str, Query(max_length=100, description="Of the dataset; empty: as the file.")
    ] = "",
) -> ReceivedOut:
    """The last one queues the import, once: a piece may be sent again, and what is wanted is told."""
    try:
        upload = uploads.PLACE.resume(token[:MAX_TOKEN])
    except UploadRefused as error:
        raise DatasetNotFound(str(error)) from error
    try:
        _, piece = pieces.piece_of(request)
        job = uploads.take(upload, offset, piece, name=name.strip(), by=author_of(request))
    except UploadRefused as error:
        raise BadDataOrder(str(error)) from error
    if job is not None:
        return ReceivedOut(received=upload.size, job=DatasetJobOut.of(job))
    return ReceivedOut(received=upload.received, job=None)
