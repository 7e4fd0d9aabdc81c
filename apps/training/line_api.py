"""The line of jobs that hold a model, and sweeps, over REST."""

from __future__ import annotations

from django.http import HttpRequest
from ninja import Router, Status

from apps.inference.api.errors import ErrorResponse
from apps.inference.services import resolve_model
from apps.jobs import line
from apps.jobs.models import HeavyJob
from apps.jobs.rest import NoSuchJob
from apps.training import deaths, sweeps
from apps.training.api import NOT_FOUND, place_of
from apps.training.models import Sweep
from apps.training.orders import settings_of
from apps.training.schemas import (
    LineOut,
    MoveRequest,
    SweepJobOut,
    SweepOut,
    SweepRequest,
    WaitingOut,
)
from apps.training.sources import source_named
from apps.training.sweep_views import shown

router = Router(tags=["Training"])

FOUND = {200: SweepOut, 404: ErrorResponse}


@router.get("/training/line", response=LineOut, summary="Who holds a model, and who waits")
def get_line(request: HttpRequest) -> LineOut:
    """Jobs of every kind that take turns: trainings, conversions, fusions, timings."""
    deaths.settle()
    return LineOut(jobs=[_waiting(job) for job in (*line.at_work(), *line.waiting())])


@router.post(
    "/training/line/{kind}/{int:key}/move",
    response={200: LineOut, 404: ErrorResponse},
    summary="Let a waiting job pass others",
)
def move_job(request: HttpRequest, kind: str, key: int, payload: MoveRequest) -> LineOut:
    """It takes the priority of the last one that it passes."""
    job = line.find(kind, key)
    if job is None:
        message = f"There is no {kind} {key}. GET /api/training/line lists them."
        raise NoSuchJob(message, code=NOT_FOUND)
    line.move(job=job, by=payload.by)
    return get_line(request)


@router.post(
    "/training/sweeps",
    response={202: SweepOut, (400, 404): ErrorResponse},
    summary="Train with several settings",
)
def order_sweep(request: HttpRequest, payload: SweepRequest) -> Status[SweepOut]:
    """Queues a job for each combination, or none where one could not work."""
    order = sweeps.SweepOrder(
        base=resolve_model(payload.model).model,
        source=source_named(payload.data),
        name=payload.name,
        settings=settings_of(payload.config) | payload.settings,
        place=place_of(payload.place),
    )
    return Status(202, _out(sweeps.order_sweep(order=order, grid=payload.grid)))


@router.get("/training/sweeps/{int:key}", response=FOUND, summary="A sweep and its results")
def get_sweep(request: HttpRequest, key: int) -> SweepOut:
    """Its jobs with their losses."""
    deaths.settle()
    return _out(_sweep(key))


@router.post("/training/sweeps/{int:key}/pause", response=FOUND, summary="Pause a sweep")
def pause_sweep(request: HttpRequest, key: int) -> SweepOut:
    """Pauses what runs or waits."""
    sweeps.pause_all(sweep=_sweep(key))
    return _out(_sweep(key))


@router.post("/training/sweeps/{int:key}/resume", response=FOUND, summary="Resume a sweep")
def resume_sweep(request: HttpRequest, key: int) -> SweepOut:
    """Goes on with what stands still."""
    sweeps.resume_all(sweep=_sweep(key))
    return _out(_sweep(key))


@router.post("/training/sweeps/{int:key}/cancel", response=FOUND, summary="Cancel a sweep")
def cancel_sweep(request: HttpRequest, key: int) -> SweepOut:
    """Cancels what is not over."""
    sweeps.cancel_all(sweep=_sweep(key))
    return _out(_sweep(key))


def _sweep(key: int) -> Sweep:
    """Raises NoSuchJob."""
    sweep = Sweep.objects.filter(pk=key).first()
    if sweep is None:
        raise NoSuchJob(f"There is no sweep {key}.", code=NOT_FOUND)
    return sweep


def _waiting(job: HeavyJob) -> WaitingOut:
    return WaitingOut(
        kind=job.kind_label,
        id=job.pk,
        name=str(job),
        state="queued" if job.state == job.State.QUEUED else "running",
        waits=job.hindrance if job.state == job.State.QUEUED else "",
    )


def _out(sweep: Sweep) -> SweepOut:
    runs = shown(sweep)["runs"]
    return SweepOut(
        id=sweep.pk,
        name=sweep.name,
        grid=sweep.grid,
        jobs=[
            SweepJobOut(
                id=run.job.pk,
                name=run.job.name,
                state=run.job.state,
                values=dict(zip(sweep.grid, run.values, strict=True)),
                loss=run.job.loss,
                best_validation_loss=run.job.best,
            )
            for run in runs
        ],
        best=next((run.job.pk for run in runs if run.is_best), None),
    )
