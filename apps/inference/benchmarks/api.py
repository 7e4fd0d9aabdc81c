"""Benchmarks over REST, under /api/benchmarks."""

from __future__ import annotations

from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router, Status

from apps.inference.api.errors import ErrorResponse
from apps.inference.benchmarks import services
from apps.inference.benchmarks.conduct import settle_runs
from apps.inference.benchmarks.schemas import BenchmarkList, BenchmarkOut, BenchmarkRequest
from apps.inference.models import BenchmarkRun

router = Router(tags=["Benchmarks"])


class BenchmarkNotFound(Exception):
    """There is no benchmark of this number."""


@router.get("/benchmarks", response=BenchmarkList, summary="List benchmarks")
def list_benchmarks(
    request: HttpRequest,
    model: Annotated[str, Query(description="Only this model's; empty: all.")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> BenchmarkList:
    """The newest first, whatever became of them."""
    settle_runs()
    runs = BenchmarkRun.objects.all()
    if model:
        runs = runs.filter(model_name=model)
    page = runs[offset : offset + limit]
    return BenchmarkList(benchmarks=[BenchmarkOut.of(run) for run in page], total=runs.count())


@router.post(
    "/benchmarks",
    response={201: BenchmarkOut, (400, 404): ErrorResponse},
    summary="Start a benchmark",
)
def start_benchmark(request: HttpRequest, payload: BenchmarkRequest) -> Status[BenchmarkOut]:
    """Queues it; the worker runs one after another."""
    run = services.start(model_name=payload.model, url=payload.base_url, plan=payload.plan())
    return Status(201, BenchmarkOut.of(run))


@router.get(
    "/benchmarks/{int:key}",
    response={200: BenchmarkOut, 404: ErrorResponse},
    summary="One benchmark",
)
def get_benchmark(request: HttpRequest, key: int) -> BenchmarkOut:
    """How far it is, or what it found."""
    settle_runs()
    return BenchmarkOut.of(_run(key))


@router.post(
    "/benchmarks/{int:key}/cancel",
    response={200: BenchmarkOut, 404: ErrorResponse},
    summary="Cancel a benchmark",
)
def cancel_benchmark(request: HttpRequest, key: int) -> BenchmarkOut:
    """A running one ends within a second or two; one that is over stays as it is."""
    run = _run(key)
    services.cancel(run=run)
    return BenchmarkOut.of(run)


@router.delete(
    "/benchmarks/{int:key}",
    response={204: None, (404, 409): ErrorResponse},
    summary="Delete a benchmark",
)
def delete_benchmark(request: HttpRequest, key: int) -> Status[None]:
    """Forgets one that is over."""
    services.delete(run=_run(key))
    return Status(204, None)


def _run(key: int) -> BenchmarkRun:
    run = BenchmarkRun.objects.filter(pk=key).first()
    if run is None:
        raise BenchmarkNotFound(f"There is no benchmark {key}. GET /api/benchmarks lists them.")
    return run
