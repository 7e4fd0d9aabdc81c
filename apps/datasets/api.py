"""Datasets over REST, at /api/datasets: import, list, read, change, delete."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Body, Query, Router, Status

from apps.datasets import services
from apps.datasets.authors import author_of
from apps.datasets.errors import DatasetNotFound
from apps.datasets.models import Dataset, DatasetJob
from apps.datasets.orders import Change
from apps.datasets.schemas import (
    DatasetDetail,
    DatasetFault,
    DatasetJobList,
    DatasetJobOut,
    DatasetList,
    DatasetOut,
    ImportOrder,
    VersionOut,
)
from apps.jobs import control

router = Router(tags=["Datasets"])

Offset = Annotated[int, Query(ge=0, le=10**9)]
Number = Annotated[int | None, Query(ge=1, le=10**9, description="A version; empty: the present.")]


@router.get("/datasets", response=DatasetList, summary="List datasets")
def list_datasets(
    request: HttpRequest, limit: Annotated[int, Query(ge=1, le=500)] = 50, offset: Offset = 0
) -> DatasetList:
    """The newest first."""
    datasets = Dataset.objects.newest_first()
    page = datasets[offset : offset + limit]
    return DatasetList(datasets=[DatasetOut.of(each) for each in page], total=datasets.count())


@router.post(
    "/datasets", response={202: DatasetJobOut, (400, 404): DatasetFault}, summary="Import a dataset"
)
def import_dataset(request: HttpRequest, payload: ImportOrder) -> Status[DatasetJobOut]:
    """Queues the import of a file or folder that lies on the hub's machine."""
    path = Path(payload.path).expanduser()
    job = services.order_import(path=path, name=payload.name, by=author_of(request))
    return Status(202, DatasetJobOut.of(job))


@router.get(
    "/datasets/{str:slug}",
    response={200: DatasetDetail, 404: DatasetFault},
    summary="One dataset",
)
def get_dataset(request: HttpRequest, slug: str) -> DatasetDetail:
    """With all its versions, the newest first."""
    dataset = Dataset.objects.named(slug)
    versions = dataset.versions.select_related("parent")
    return DatasetDetail(
        **DatasetOut.of(dataset).model_dump(), versions=[VersionOut.of(each) for each in versions]
    )


@router.delete(
    "/datasets/{str:slug}",
    response={204: None, (404, 409): DatasetFault},
    summary="Delete a dataset",
)
def delete_dataset(request: HttpRequest, slug: str) -> Status[None]:
    """With all its versions and their files."""
    services.delete_dataset(dataset=Dataset.objects.named(slug))
    return Status(204, None)


@router.get(
    "/datasets/{str:slug}/statistics",
    response={200: dict[str, Any], 404: DatasetFault},
    summary="Statistics of a version",
)
def get_statistics(request: HttpRequest, slug: str, version: Number = None) -> dict[str, Any]:
    """Counts of rows, problems and personal data, and how long rows are."""
    facts: dict[str, Any] = Dataset.objects.named(slug).version(version).facts
    return facts


@router.post(
    "/datasets/{str:slug}/changes",
    response={202: DatasetJobOut, (400, 404, 409): DatasetFault},
    summary="Change a dataset, or examine it",
)
def change_dataset(
    request: HttpRequest, slug: str, payload: Annotated[Change, Body()], version: Number = None
) -> Status[DatasetJobOut]:
    """Queues a job that makes a new version; the old one stays as it is."""
    base = Dataset.objects.named(slug).version(version)
    by = author_of(request)
    job = services.order(version=base, kind=payload.kind, plan=payload.plan(), by=by)
    return Status(202, DatasetJobOut.of(job))


@router.get(
    "/datasets/{str:slug}/jobs",
    response={200: DatasetJobList, 404: DatasetFault},
    summary="Jobs on a dataset",
    tags=["Dataset jobs"],
)
def list_dataset_jobs(
    request: HttpRequest,
    slug: str,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Offset = 0,
) -> DatasetJobList:
    """The newest first."""
    jobs = DatasetJob.objects.of(Dataset.objects.named(slug)).select_related("dataset", "result")
    page = jobs[offset : offset + limit]
    return DatasetJobList(jobs=[DatasetJobOut.of(each) for each in page], total=jobs.count())


@router.get(
    "/datasets/{str:slug}/jobs/{int:key}",
    response={200: DatasetJobOut, 404: DatasetFault},
    summary="A job on a dataset",
    tags=["Dataset jobs"],
)
def get_dataset_job(request: HttpRequest, slug: str, key: int) -> DatasetJobOut:
    """How far it is, or what came of it."""
    return DatasetJobOut.of(_job(slug, key))


@router.post(
    "/datasets/{str:slug}/jobs/{int:key}/cancel",
    response={200: DatasetJobOut, 404: DatasetFault},
    summary="Cancel a job on a dataset",
    tags=["Dataset jobs"],
)
def cancel_dataset_job(request: HttpRequest, slug: str, key: int) -> DatasetJobOut:
    """A running one ends within a second or two; one that is over stays as it is."""
    job = _job(slug, key)
    control.cancel(job)
    return DatasetJobOut.of(job)


def _job(slug: str, key: int) -> DatasetJob:
    jobs = DatasetJob.objects.of(Dataset.objects.named(slug)).select_related("dataset", "result")
    job = jobs.filter(pk=key).first()
    if job is None:
        raise DatasetNotFound(f"There is no job {key} on {slug!r}.")
    return job
