"""The page where several runs lie over each other."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from apps.training.models import TrainingJob
from apps.training.overlay import MOST_RUNS, differing_settings, results
from apps.training.views import CHART_TITLES, share

OFFERED = 50
"""Newest jobs to choose from."""


@require_safe
def compare(request: HttpRequest) -> HttpResponse:
    """``?jobs=1,2,3``; the form sends each as ``jobs``, and the address becomes the short one."""
    given = request.GET.getlist("jobs")
    if len(given) > 1:
        short = ",".join(str(key) for key in _numbers(",".join(given)))
        return redirect(f"{request.path}?jobs={short}")
    keys = list(_numbers(given[0] if given else ""))
    found = TrainingJob.objects.newest_first().in_bulk(keys[:MOST_RUNS])
    jobs = [found[key] for key in keys if key in found]
    # Whoever chose none of the others wants none; a plain address shows all.
    chosen = request.GET.getlist("with") if "chosen" in request.GET else None
    context = {
        "jobs": jobs,
        "keys": ",".join(str(job.pk) for job in jobs),
        "left_out": len(keys) > MOST_RUNS,
        "overlaid": [str(job.pk) for job in jobs] if chosen is None else chosen,
        "active": any(job.is_active for job in jobs),
        "settings": differing_settings(jobs) if len(jobs) > 1 else [],
        "results": results(jobs) if jobs else [],
        "offered": TrainingJob.objects.newest_first()[:OFFERED],
        "chart_titles": CHART_TITLES,
        "smoothing": share(request.GET.get("smoothing", "")),
        "log_scale": request.GET.get("log") == "1",
        "by_time": request.GET.get("axis") == "time",
    }
    return render(request, "training/compare.html", context)


def _numbers(text: str) -> Iterator[int]:
    """Numbers of jobs with commas between them, each once; what is no number is passed over."""
    parts = (part.strip() for part in text.split(","))
    yield from dict.fromkeys(int(part) for part in parts if part.isdecimal() and len(part) < 18)
