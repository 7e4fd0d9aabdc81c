"""Work on models over REST: ordered at /api/models/NAME/…, followed at /api/models/jobs."""

from __future__ import annotations

from django.http import HttpRequest
from ninja import Router, Status

from apps.inference.api.errors import ErrorResponse
from apps.inference.registry.api import adapter_named, model_named
from apps.inference.registry.schemas import (
    ConvertRequest,
    ExportRequest,
    FuseRequest,
    JobList,
    JobOut,
)
from apps.jobs.rest import JobRoutes, Limit, Offset
from apps.models.naming import slug_from
from apps.models.work import services
from apps.models.work.models import ModelJob

router = Router(tags=["Model jobs"])

jobs = JobRoutes(
    router,
    "/models/jobs",
    rows=ModelJob.objects.newest_first,
    out=JobOut,
    fault=ErrorResponse,
    called="job",
    code="job_not_found",
)

ORDERED = {202: JobOut, (400, 404, 409): ErrorResponse}


@router.get("/models/jobs", response=JobList, summary="List jobs on models")
def list_jobs(
    request: HttpRequest,
    limit: Limit = 50,
    offset: Offset = 0,
) -> JobList:
    """The newest first, whatever became of them."""
    found = ModelJob.objects.newest_first()
    page = found[offset : offset + limit]
    return JobList(jobs=[JobOut.of(job) for job in page], total=found.count())


@jobs.show(summary="One job")
def get_job(job: ModelJob) -> JobOut:
    """How far it is, or what it made."""
    return JobOut.of(job)


@jobs.action("cancel", summary="Cancel a job")
def cancel_job(job: ModelJob) -> None:
    """A running one ends within a second or two; one that is over stays as it is."""
    services.cancel(job=job)


@jobs.action("repeat", summary="Start a job again")
def repeat_job(job: ModelJob) -> None:
    """One that failed, was cancelled or interrupted; others stay as they are."""
    services.repeat(job=job)


@jobs.removal(summary="Forget a job")
def forget_job(job: ModelJob) -> None:
    """One that is over; what it made stays."""
    services.forget(job=job)


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
