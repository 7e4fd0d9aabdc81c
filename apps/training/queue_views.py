"""The line of jobs that hold a model, as the Training page shows and changes it."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from apps.inference.heartbeat import INTERVAL, QueueUnreachable, last_beat_age
from apps.jobs import control, line
from apps.jobs.models import HeavyJob
from apps.rendering.htmx import HtmxHttpRequest, part_of
from apps.training import deaths

SILENT_SECONDS = 4 * INTERVAL
"""Without a sign of life; then no worker runs."""


def line_context() -> dict[str, Any]:
    """Who has the turn, who waits, and whether anybody is there to give turns."""
    deaths.settle()
    at_work, waiting = line.at_work(), line.waiting()
    return {
        "at_work": at_work,
        "waiting": waiting,
        "no_worker": bool(waiting) and not at_work and not _worker_lives(),
        "line_active": bool(at_work or waiting),
    }


@require_safe
@part_of("training:home")
def queue(request: HtmxHttpRequest) -> HttpResponse:
    """The line alone, for htmx."""
    return render(request, "training/queue.html", line_context())


@require_POST
def move(request: HtmxHttpRequest, label: str, key: int, by: int) -> HttpResponse:
    """Lets a waiting job pass some others."""
    line.move(job=_job(label, key), by=by)
    return _answer(request)


@require_POST
def withdraw(request: HtmxHttpRequest, label: str, key: int) -> HttpResponse:
    """Ends one that waits or works, without saving anything more."""
    control.cancel(_job(label, key))
    return _answer(request)


def _job(label: str, key: int) -> HeavyJob:
    job = line.find(label, key)
    if job is None:
        raise Http404("There is no such job.")
    return job


def _answer(request: HtmxHttpRequest) -> HttpResponse:
    if request.htmx:
        return render(request, "training/queue.html", line_context())
    return redirect("training:home")


def _worker_lives() -> bool:
    """Of a queue that can't be asked nothing is claimed."""
    try:
        age = last_beat_age()
    except QueueUnreachable:
        return True
    return age is not None and age < SILENT_SECONDS
