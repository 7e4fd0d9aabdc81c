"""Benchmarks over REST, under /api/benchmarks."""

from __future__ import annotations

from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router, Status

from apps.inference.api.errors import ErrorResponse
from apps.inference.benchmarks import services
from apps.inference.benchmarks.conduct import settle_runs
from apps.inference.benchmarks.schemas import BenchmarkList, BenchmarkOut, BenchmarkRequest
from apps.inference.models import BenchmarkRun, BenchmarkRunQuerySet
from apps.jobs.rest import JobRoutes, Limit, Offset

router = Router(tags=["Benchmarks"])


def _runs() -> BenchmarkRunQuerySet:
    settle_runs()
    return BenchmarkRun.objects.all()


jobs = JobRoutes(
    router,
    "/benchmarks",
    rows=_runs,
    out=BenchmarkOut,
    fault=ErrorResponse,
    called="benchmark",
    code="benchmark_not_found",
)


@router.get("/benchmarks", response=BenchmarkList, summary="List benchmarks")
def list_benchmarks(
    request: HttpRequest,
    model: Annotated[str, Query(description="Only this model's; empty: all.")] = "",
    limit: Limit = 50,
    offset: Offset = 0,
) -> BenchmarkList:
    """The newest first, whatever became of them."""
    runs = _runs()
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


@jobs.show(summary="One benchmark")
def get_benchmark(run: BenchmarkRun) -> BenchmarkOut:
    """How far it is, or what it found."""
    return BenchmarkOut.of(run)


@jobs.action("cancel", summary="Cancel a benchmark")
def cancel_benchmark(run: BenchmarkRun) -> None:
    """A running one ends within a second or two; one that is over stays as it is."""
    services.cancel(run=run)


@jobs.removal(summary="Delete a benchmark")
def delete_benchmark(run: BenchmarkRun) -> None:
    """Forgets one that is over."""
    services.delete(run=run)
