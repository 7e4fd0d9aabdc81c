"""Work on models over REST: ordered at /api/models/NAME/…, followed at /api/models/jobs."""

from __future__ import annotations

from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router, Status

from apps.inference.api.errors import ErrorResponse
from apps.inference.registry.api import Offset, adapter_named, model_named
from apps.inference.registry.problems import JobNotFound
from apps.inference.registry.schemas import (
    ConvertRequest,
    ExportRequest,
    FuseRequest,
    JobList,
    JobOut,
)
from apps.models.naming import slug_from
from apps.models.work import services
from apps.models.work.models import ModelJob

router = Router(tags=["Model jobs"])

ORDERED = {202: JobOut, (400, 404, 409): ErrorResponse}


@router.get("/models/jobs", response=JobList, summary="List jobs on models")
def list_jobs(
    request: HttpRequest,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Offset = 0,
) -> JobList:
    """The newest first, whatever became of them."""
    jobs = ModelJob.objects.newest_first()
    page = jobs[offset : offset + limit]
    return JobList(jobs=[JobOut.of(job) for job in page], total=jobs.count())


@router.get("/models/jobs/{int:key}", response={200: JobOut, 404: ErrorResponse}, summary="One job")
def get_job(request: HttpRequest, key: int) -> JobOut:
    """How far it is, or what it made."""
    return JobOut.of(_job(key))


@router.post(
    "/models/jobs/{int:key}/cancel",
    response={200: JobOut, 404: ErrorResponse},
    summary="Cancel a job",
)
def cancel_job(request: HttpRequest, key: int) -> JobOut:
    """A running one ends within a second or two; one that is over stays as it is."""
    job = _job(key)
    services.cancel(job=job)
    return JobOut.of(job)


@router.post(
    "/models/jobs/{int:key}/repeat",
    response={200: JobOut, 404: ErrorResponse},
    summary="Start a job again",
)
def repeat_job(request: HttpRequest, key: int) -> JobOut:
    """One that failed, was cancelled or interrupted; others stay as they are."""
    job = _job(key)
    services.repeat(job=job)
    return JobOut.of(job)


@router.delete(
    "/models/jobs/{int:key}",
    response={204: None, (404, 409): ErrorResponse},
    summary="Forget a job",
)
def forget_job(request: HttpRequest, key: int) -> Status[None]:
    """One that is over; what it made stays."""
    services.forget(job=_job(key))
    return Status(204, None)


@router.post("/models/{str:slug}/convert", response=ORDERED, summary="Convert a model")
def convert_model(request: HttpRequest, slug: str, payload: ConvertRequest) -> Status[JobOut]:
    """Writes it anew as another model: quantised, or unpacked."""
    job = services.order_conversion(
        model=model_named(slug),
        slug=slug_from(payload.name),
        name=payload.name,
        quantization=payload.quantization,
        dtype=payload.dtype,
        measure=payload.measure,
    )
    return _started(job)


@router.post("/models/{str:slug}/fuse", response=ORDERED, summary="Fuse an adapter into a model")
def fuse_adapter(request: HttpRequest, slug: str, payload: FuseRequest) -> Status[JobOut]:
    """Makes it part of the weights of another model."""
    job = services.order_fusion(
        adapter=adapter_named(model_named(slug), payload.adapter),
        slug=slug_from(payload.name),
        name=payload.name,
        dequantize=payload.dequantize,
        measure=payload.measure,
    )
    return _started(job)


@router.post("/models/{str:slug}/export", response=ORDERED, summary="Export a model")
def export_model(request: HttpRequest, slug: str, payload: ExportRequest) -> Status[JobOut]:
    """Into the exports folder of the hub's data folder."""
    return _started(services.order_export(model=model_named(slug), format=payload.format))


@router.post(
    "/models/{str:slug}/verify",
    response={202: JobOut, 404: ErrorResponse},
    summary="Verify a model's files",
)
def verify_model(request: HttpRequest, slug: str) -> Status[JobOut]:
    """Compares every file with what was registered."""
    return _started(services.order_verification(model=model_named(slug)))


def _started(job: ModelJob) -> Status[JobOut]:
    services.start(job=job)
    return Status(202, JobOut.of(job))


def _job(key: int) -> ModelJob:
    job = ModelJob.objects.newest_first().filter(pk=min(key, 2**63 - 1)).first()
    if job is None:
        raise JobNotFound(f"There is no job {key}. GET /api/models/jobs lists them.")
    return job
