"""Datasets of Hugging Face over REST: under /api/discovery, and /api/downloads/datasets."""

from __future__ import annotations

from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router, Status

from apps.datasets.authors import author_of
from apps.discovery.api import Anew, Name, Owner
from apps.discovery.data.finding import data_facts, find_datasets
from apps.discovery.data.schemas import (
    DataDownloadRequest,
    DataSearchParams,
    DataSearchResults,
    HubDatasetOut,
)
from apps.discovery.downloads.data_orders import start_data
from apps.discovery.downloads.schemas import OrderOut
from apps.discovery.reference import require_revision
from apps.inference.api.errors import ErrorResponse

router = Router(tags=["Discovery"])


@router.get(
    "/discovery/datasets",
    response={200: DataSearchResults, (400, 403, 503): ErrorResponse},
    summary="Search datasets on Hugging Face",
)
def search_datasets(
    request: HttpRequest, params: Annotated[DataSearchParams, Query()], anew: Anew = False
) -> DataSearchResults:
    """About 30 at once, the next ones with `cursor`."""
    return DataSearchResults.of(find_datasets(params.wanted, params.cursor, anew=anew))


@router.get(
    "/discovery/datasets/{owner}/{name}",
    response={200: HubDatasetOut, (400, 403, 404, 503): ErrorResponse},
    summary="One dataset on Hugging Face",
)
def get_hub_dataset(
    request: HttpRequest,
    owner: Owner,
    name: Name,
    revision: Annotated[str, Query(max_length=200, description="Empty: the newest.")] = "",
    anew: Anew = False,
) -> HubDatasetOut:
    """What it is, and which configurations and splits can be imported."""
    require_revision(revision)
    return HubDatasetOut.of(data_facts(f"{owner}/{name}", revision, anew=anew))


@router.post(
    "/downloads/datasets",
    response={201: OrderOut, 200: OrderOut, (400, 403, 404, 409, 503, 507): ErrorResponse},
    summary="Download a dataset and import it",
    tags=["Downloads"],
)
def order_dataset(request: HttpRequest, payload: DataDownloadRequest) -> Status[OrderOut]:
    """Asks the hub for the exact files and queues them; 200 where they are on their way."""
    require_revision(payload.revision)
    ordered = start_data(
        repo_id=payload.repo_id,
        choice=payload.choice,
        revision=payload.revision or None,
        name=payload.name.strip(),
        by=author_of(request),
    )
    return Status(200 if ordered.joined else 201, OrderOut.of(ordered))
