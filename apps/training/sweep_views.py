"""A sweep's page: its runs side by side, and what is done to all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from apps.rendering.htmx import HtmxHttpRequest
from apps.training import deaths, sweeps
from apps.training.models import Sweep, TrainingJob
from apps.training.sweeps import AXES, EPOCHS


@dataclass(frozen=True)
class Run:
    job: TrainingJob
    values: list[str]
    """Of the settings that the sweep tries, in the order of its columns."""
    is_best: bool
    """Whether none has a lower validation loss."""


@require_safe
@vary_on_headers("HX-Request")
def detail(request: HtmxHttpRequest, key: int) -> HttpResponse:
    """The runs with their results. For htmx the table alone."""
    deaths.settle()
    sweep = get_object_or_404(Sweep, pk=key)
    template = "training/sweep.html#runs" if request.htmx else "training/sweep.html"
    return render(request, template, shown(sweep))


@require_POST
def pause(request: HttpRequest, key: int) -> HttpResponse:
    """Pauses what runs or waits."""
    return _changed(key, sweeps.pause_all)


@require_POST
def resume(request: HttpRequest, key: int) -> HttpResponse:
    """Goes on with what stands still."""
    return _changed(key, sweeps.resume_all)


@require_POST
def cancel(request: HttpRequest, key: int) -> HttpResponse:
    """Cancels what is not over."""
    return _changed(key, sweeps.cancel_all)


def shown(sweep: Sweep) -> dict[str, Any]:
    """What the page says of a sweep."""
    jobs = list(
        TrainingJob.objects.newest_first()
        .filter(sweep=sweep)
        .with_loss()
        .with_best()
        .order_by("pk")
    )
    best = {job.pk: _annotated(job) for job in jobs}
    losses = [loss for loss in best.values() if loss is not None]
    runs = [
        Run(
            job,
            [_value(job, name) for name in sweep.grid],
            best[job.pk] is not None and best[job.pk] == min(losses),
        )
        for job in jobs
    ]
    return {
        "sweep": sweep,
        "runs": runs,
        "columns": [AXES.get(name, name) for name in sweep.grid],
        "active": any(job.is_active for job in jobs),
        "resumable": any(job.is_resumable for job in jobs),
        "keys": ",".join(str(job.pk) for job in jobs),
        "over": sum(job.is_over for job in jobs),
    }


def _annotated(job: TrainingJob) -> float | None:
    """Its lowest validation loss, which ``with_best`` put there."""
    found: float | None = job.best  # type: ignore[attr-defined]
    return found


def _value(job: TrainingJob, name: str) -> str:
    group, inside, field = name.partition(".")
    settings = job.settings
    if name == EPOCHS:
        rows = job.facts.get("rows")
        return f"{settings['iters'] * settings['batch_size'] / rows:.1f}" if rows else ""
    value = settings.get(group, {}).get(field) if inside else settings.get(name)
    return f"{value:g}" if isinstance(value, int | float) else ""


def _changed(key: int, change: Callable[..., None]) -> HttpResponse:
    change(sweep=get_object_or_404(Sweep, pk=key))
    return redirect("training:sweep", key)
