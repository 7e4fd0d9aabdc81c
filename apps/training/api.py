"""Training over REST, under /api/training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router, Status

from apps.inference.api.errors import ErrorResponse, Problem, problem
from apps.inference.services import resolve_model
from apps.training import deaths, services
from apps.training.errors import StillAtWork, TrainingError
from apps.training.models import Metric, TrainingJob
from apps.training.orders import completed, settings_of
from apps.training.preflight import examine
from apps.training.schemas import (
    CurveOut,
    JobList,
    JobOut,
    JobRequest,
    MetricsOut,
    PlaceRequest,
    PreflightOut,
    TailOut,
)
from apps.training.series import POINTS, curve
from apps.training.services import Place
from apps.training.sources import Source, source_named
from apps.training.tails import Followed, tail
from apps.training.trainer.config import TrainingConfig
from apps.training.trainer.mlx_lm_yaml import write_yaml

router = Router(tags=["Training"])

FOUND = {200: JobOut, 404: ErrorResponse}


class TrainingNotFound(Exception):
    """There is no training job of this number."""


def training_problem(error: TrainingError | TrainingNotFound) -> Problem:
    """The answer to what training refused."""
    match error:
        case TrainingNotFound():
            return problem(404, str(error), code="training_not_found")
        case StillAtWork():
            return problem(409, str(error), code="training_active")
        case _:
            return problem(400, str(error), code="training_refused")


@router.get("/training/jobs", response=JobList, summary="List training jobs")
def list_jobs(
    request: HttpRequest,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> JobList:
    """The newest first, whatever became of them."""
    deaths.settle()
    jobs = TrainingJob.objects.newest_first()
    page = jobs[offset : offset + limit]
    return JobList(jobs=[JobOut.of(job) for job in page], total=jobs.count())


@router.post(
    "/training/jobs",
    response={202: JobOut, (400, 404): ErrorResponse},
    summary="Train an adapter or a model",
)
def order_job(request: HttpRequest, payload: JobRequest) -> Status[JobOut]:
    """Queues it; the worker runs one after another."""
    base = resolve_model(payload.model).model
    source = source_named(payload.data)
    config = _config(payload, source)
    job = services.order(
        base=base,
        data=Path(config.data),
        name=payload.name,
        settings=config.model_dump(mode="json", exclude={"model", "data"}),
        dataset=source.version,
        place=place_of(payload.place),
        despite_refusals=payload.despite_refusals,
    )
    services.start(job=job)
    return Status(202, JobOut.of(job))


@router.post(
    "/training/preflight",
    response={200: PreflightOut, (400, 404): ErrorResponse},
    summary="Examine a training job before it is ordered",
)
def examine_job(request: HttpRequest, payload: JobRequest) -> PreflightOut:
    """Takes what an order takes and queues nothing."""
    config = _config(payload, source_named(payload.data))
    found = examine(resolve_model(payload.model).model, config)
    settings = config.model_dump(mode="json", exclude={"model", "data"})
    return PreflightOut.of(found, settings, write_yaml(config))


@router.get("/training/jobs/{int:key}", response=FOUND, summary="One training job")
def get_job(request: HttpRequest, key: int) -> JobOut:
    """How far it is, or what it made."""
    deaths.settle()
    return JobOut.of(job_numbered(key))


@router.patch(
    "/training/jobs/{int:key}/place",
    response={200: JobOut, (400, 404): ErrorResponse},
    summary="Give a training job another place",
)
def arrange_job(request: HttpRequest, key: int, payload: PlaceRequest) -> JobOut:
    """When it has its turn, and whether it goes on by itself."""
    job = job_numbered(key)
    services.arrange(job=job, place=place_of(payload))
    return JobOut.of(job)


@router.post("/training/jobs/{int:key}/pause", response=FOUND, summary="Pause a training job")
def pause_job(request: HttpRequest, key: int) -> JobOut:
    """Saves a checkpoint and gives the turn back; `resume` goes on as if nothing had been."""
    job = job_numbered(key)
    services.pause(job=job)
    return JobOut.of(job)


@router.post(
    "/training/jobs/{int:key}/keep",
    response={202: JobOut, (400, 404): ErrorResponse},
    summary="Keep what a stopped job had learnt",
)
def keep_job(request: HttpRequest, key: int) -> Status[JobOut]:
    """Has a job that stands still leave an adapter or a model of its newest checkpoint."""
    job = job_numbered(key)
    services.keep(job=job)
    return Status(202, JobOut.of(job))


@router.post("/training/jobs/{int:key}/stop", response=FOUND, summary="Stop and save")
def stop_job(request: HttpRequest, key: int) -> JobOut:
    """Ends it with a checkpoint and its adapter as it is; it may be resumed."""
    job = job_numbered(key)
    services.stop(job=job)
    return JobOut.of(job)


@router.post("/training/jobs/{int:key}/cancel", response=FOUND, summary="Cancel a training job")
def cancel_job(request: HttpRequest, key: int) -> JobOut:
    """Ends it without saving anything more."""
    job = job_numbered(key)
    services.cancel(job=job)
    return JobOut.of(job)


@router.post("/training/jobs/{int:key}/resume", response=FOUND, summary="Resume a training job")
def resume_job(request: HttpRequest, key: int) -> JobOut:
    """Goes on from its newest checkpoint; one that does not stand still stays as it is."""
    job = job_numbered(key)
    services.resume(job=job)
    return JobOut.of(job)


@router.post(
    "/training/jobs/{int:key}/retry",
    response={202: JobOut, (400, 404): ErrorResponse},
    summary="Retry with safer settings",
)
def retry_job(request: HttpRequest, key: int) -> Status[JobOut]:
    """A new job, with settings under which the failure is less likely."""
    return Status(202, JobOut.of(services.retry_safer(job=job_numbered(key))))


@router.delete(
    "/training/jobs/{int:key}",
    response={204: None, (404, 409): ErrorResponse},
    summary="Delete a training job",
)
def delete_job(request: HttpRequest, key: int) -> Status[None]:
    """With its figures and checkpoints; what it made stays."""
    services.delete(job=job_numbered(key))
    return Status(204, None)


@router.get(
    "/training/jobs/{int:key}/metrics",
    response={200: MetricsOut, 404: ErrorResponse},
    summary="A training job's curves",
)
def get_metrics(
    request: HttpRequest,
    key: int,
    points: Annotated[int, Query(ge=1, le=2000, description="Of each curve, at most.")] = POINTS,
) -> MetricsOut:
    """Long curves are thinned: each point tells mean, lowest and highest of its steps."""
    job = job_numbered(key)
    curves = {name: curve(job, name, points=points) for name in Metric.Name.values}
    return MetricsOut(
        curves={name: CurveOut.of(found) for name, found in curves.items() if found.step}
    )


@router.get(
    "/training/jobs/{int:key}/tail/{what}",
    response={200: TailOut, 404: ErrorResponse},
    summary="The end of a training job's log or events",
)
def get_tail(
    request: HttpRequest,
    key: int,
    what: Followed,
    after: Annotated[
        int | None, Query(ge=0, le=2**63 - 1, description="Bytes read before; null: the end.")
    ] = None,
) -> TailOut:
    """Whole lines; events are one JSON object each."""
    found = tail(job_numbered(key), what, after=after)
    return TailOut(text=found.text, next=found.next)


def place_of(payload: PlaceRequest) -> Place:
    """Raises TrainingNotFound."""
    after = None if payload.after is None else job_numbered(payload.after)
    return Place(payload.priority, payload.not_before, after, payload.self_resuming)


def job_numbered(key: int) -> TrainingJob:
    """Raises TrainingNotFound."""
    job = TrainingJob.objects.newest_first().filter(pk=min(key, 2**63 - 1)).first()
    if job is None:
        raise TrainingNotFound(
            f"There is no training job {key}. GET /api/training/jobs lists them."
        )
    return job


def _config(payload: JobRequest, source: Source) -> TrainingConfig:
    return completed(
        base=resolve_model(payload.model).model,
        data=source.folder,
        settings=settings_of(payload.config) | payload.settings,
    )
