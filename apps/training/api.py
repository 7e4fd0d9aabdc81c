"""Training over REST, under /api/training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router, Status

from apps.inference.api.errors import ErrorResponse, Problem, problem
from apps.inference.services import resolve_model
from apps.jobs.rest import JobRoutes, Limit, Offset
from apps.training import deaths, services
from apps.training.errors import StillAtWork, TrainingError
from apps.training.models import Metric, TrainingJob, TrainingJobQuerySet
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

NOT_FOUND = "training_not_found"


def _jobs() -> TrainingJobQuerySet:
    deaths.settle()
    return TrainingJob.objects.newest_first()


jobs = JobRoutes(
    router,
    "/training/jobs",
    rows=_jobs,
    out=JobOut,
    fault=ErrorResponse,
    called="training job",
    code=NOT_FOUND,
)


def training_problem(error: TrainingError) -> Problem:
    """The answer to what training refused."""
    match error:
        case StillAtWork():
            return problem(409, str(error), code="training_active")
        case _:
            return problem(400, str(error), code="training_refused")


@router.get("/training/jobs", response=JobList, summary="List training jobs")
def list_jobs(
    request: HttpRequest,
    limit: Limit = 50,
    offset: Offset = 0,
) -> JobList:
    """The newest first, whatever became of them."""
    found = _jobs()
    page = found[offset : offset + limit]
    return JobList(jobs=[JobOut.of(job) for job in page], total=found.count())


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


@jobs.show(summary="One training job")
def get_job(job: TrainingJob) -> JobOut:
    """How far it is, or what it made."""
    return JobOut.of(job)


@router.patch(
    "/training/jobs/{int:key}/place",
    response={200: JobOut, (400, 404): ErrorResponse},
    summary="Give a training job another place",
)
def arrange_job(request: HttpRequest, key: int, payload: PlaceRequest) -> JobOut:
    """When it has its turn, and whether it goes on by itself."""
    job = jobs.numbered(key)
    services.arrange(job=job, place=place_of(payload))
    return JobOut.of(job)


@jobs.action("pause", summary="Pause a training job")
def pause_job(job: TrainingJob) -> None:
    """Saves a checkpoint and gives the turn back; `resume` goes on as if nothing had been."""
    services.pause(job=job)


@jobs.action("keep", summary="Keep what a stopped job had learnt", status=202, refusals=(400,))
def keep_job(job: TrainingJob) -> None:
    """Has a job that stands still leave an adapter or a model of its newest checkpoint."""
    services.keep(job=job)


@jobs.action("stop", summary="Stop and save")
def stop_job(job: TrainingJob) -> None:
    """Ends it with a checkpoint and its adapter as it is; it may be resumed."""
    services.stop(job=job)


@jobs.action("cancel", summary="Cancel a training job")
def cancel_job(job: TrainingJob) -> None:
    """Ends it without saving anything more."""
    services.cancel(job=job)


@jobs.action("resume", summary="Resume a training job")
def resume_job(job: TrainingJob) -> None:
    """Goes on from its newest checkpoint; one that does not stand still stays as it is."""
    services.resume(job=job)


@router.post(
    "/training/jobs/{int:key}/retry",
    response={202: JobOut, (400, 404): ErrorResponse},
    summary="Retry with safer settings",
)
def retry_job(request: HttpRequest, key: int) -> Status[JobOut]:
    """A new job, with settings under which the failure is less likely."""
    return Status(202, JobOut.of(services.retry_safer(job=jobs.numbered(key))))


@jobs.removal(summary="Delete a training job")
def delete_job(job: TrainingJob) -> None:
    """With its figures and checkpoints; what it made stays."""
    services.delete(job=job)


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
    job = jobs.numbered(key)
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
    found = tail(jobs.numbered(key), what, after=after)
    return TailOut(text=found.text, next=found.next)


def place_of(payload: PlaceRequest) -> Place:
    """Raises NoSuchJob."""
    after = None if payload.after is None else jobs.numbered(payload.after)
    return Place(payload.priority, payload.not_before, after, payload.self_resuming)


def _config(payload: JobRequest, source: Source) -> TrainingConfig:
    return completed(
        base=resolve_model(payload.model).model,
        data=source.folder,
        settings=settings_of(payload.config) | payload.settings,
    )
