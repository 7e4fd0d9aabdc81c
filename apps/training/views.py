"""The Training pages: order a job, follow its run, stop it, go on with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from apps.jobs import line
from apps.rendering.htmx import HtmxHttpRequest, part_of
from apps.training import deaths, services
from apps.training.errors import BadOrder, StillAtWork, TrainingError
from apps.training.models import Metric, TrainingJob
from apps.training.place_form import PlaceForm
from apps.training.queue_views import line_context
from apps.training.schemas import CurveOut
from apps.training.series import curve
from apps.training.shown import (
    answers_of,
    command_of,
    judged_rows,
    remedy_of,
    tiles_of,
    told_of,
)
from apps.training.tails import tail
from apps.training.trainer.mlx_lm_yaml import write_yaml

PER_PAGE = 25

CHART_POINTS = 400
"""Of a curve: about one for each pixel of a chart."""

TABLE_POINTS = 20
"""Of a curve in the table beside the charts."""


CHART_TITLES = (
    ("loss", "Loss"),
    ("reward_margin", "Reward margin"),
    ("reward_accuracy", "Reward accuracy"),
    ("rewards", "Rewards"),
    ("learning_rate", "Learning rate"),
    ("gradient_norm", "Gradient norm"),
    ("tokens_per_second", "Trained tokens per second"),
    ("peak_memory", "Peak memory"),
)


@require_safe
@vary_on_headers("HX-Request")
def home(request: HtmxHttpRequest) -> HttpResponse:
    """The line, and every job, the newest first. For htmx the table alone."""
    deaths.settle()
    jobs = TrainingJob.objects.newest_first().with_loss()
    page = Paginator(jobs, PER_PAGE).get_page(request.GET.get("page"))
    context = {"jobs": page, "active": any(job.is_active for job in page)}
    if request.htmx:
        return render(request, "training/home.html#table", context)
    return render(request, "training/home.html", context | line_context())


@require_safe
@vary_on_headers("HX-Request")
def detail(request: HtmxHttpRequest, key: int) -> HttpResponse:
    """One job: how far it is, and what it learns. For htmx the part that changes every second."""
    deaths.settle()
    return _detail(request, _job(key))


@require_safe
@part_of("training:detail")
def learnt(request: HttpRequest, key: int) -> HttpResponse:
    """The answers and rows of the newest evaluation."""
    return render(request, "training/job.html#learnt", _learnt(_job(key)))


@require_safe
def chart(request: HttpRequest, key: int) -> JsonResponse:
    """The curves that are drawn, in few points however long they are."""
    job = _job(key)
    curves = {name: curve(job, name, points=CHART_POINTS) for name in Metric.Name.values}
    return JsonResponse(
        {
            "name": job.name,
            "active": job.is_active,
            "curves": {
                name: CurveOut.of(found).model_dump()
                for name, found in curves.items()
                if found.step
            },
        }
    )


@require_safe
def log(request: HttpRequest, key: int) -> JsonResponse | HttpResponse:
    """The trainer's log behind ``?after=`` bytes; without that its end, as plain text."""
    after = request.GET.get("after", "")
    if not after:
        text = tail(_job(key), "log").text or "The trainer has written nothing yet.\n"
        return HttpResponse(text, content_type="text/plain; charset=utf-8")
    read = int(after) if after.isdecimal() and len(after) < 18 else None
    job = _job(key)
    found = tail(job, "log", after=read)
    return JsonResponse({"text": found.text, "next": found.next, "active": job.is_active})


@require_safe
def settings_file(request: HttpRequest, key: int) -> HttpResponse:
    """The job's settings as mlx-lm's YAML."""
    return HttpResponse(
        write_yaml(_job(key).config),
        content_type="application/yaml; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="training-{key}.yaml"'},
    )


@require_POST
def pause(request: HtmxHttpRequest, key: int) -> HttpResponse:
    """Saves a checkpoint and gives the turn back."""
    return _changed(request, key, lambda job: services.pause(job=job))


@require_POST
def stop(request: HtmxHttpRequest, key: int) -> HttpResponse:
    """Ends a run with a checkpoint and its result as it is."""
    return _changed(request, key, lambda job: services.stop(job=job))


@require_POST
def cancel(request: HtmxHttpRequest, key: int) -> HttpResponse:
    """Ends a run without saving anything more."""
    return _changed(request, key, lambda job: services.cancel(job=job))


@require_POST
def keep(request: HttpRequest, key: int) -> HttpResponse:
    """Has a run that stands still leave what it had learnt."""
    return _tried(request, key, lambda job: services.keep(job=job))


@require_POST
def arrange(request: HttpRequest, key: int) -> HttpResponse:
    """Gives a job another place in the line."""
    job = _job(key)
    form = PlaceForm(request.POST, job=job)
    if not form.is_valid():
        for field, errors in form.errors.items():
            messages.error(request, f"{form.fields[field].label}: {' '.join(map(str, errors))}")
        return redirect("training:detail", key)
    return _tried(request, key, lambda job: services.arrange(job=job, place=form.place))


@require_POST
def resume(request: HttpRequest, key: int) -> HttpResponse:
    """Goes on from the newest checkpoint."""
    services.resume(job=_job(key))
    return redirect("training:detail", key)


@require_POST
def retry(request: HttpRequest, key: int) -> HttpResponse:
    """Starts a job like this one with safer settings."""
    try:
        again = services.retry_safer(job=_job(key))
    except BadOrder as error:
        messages.error(request, str(error))
        return redirect("training:detail", key)
    return redirect("training:detail", again.pk)


@require_POST
def delete(request: HttpRequest, key: int) -> HttpResponse:
    """Forgets a job with its figures and checkpoints; what it made stays."""
    job = _job(key)
    try:
        services.delete(job=job)
    except StillAtWork as error:
        messages.error(request, str(error))
        return redirect("training:detail", key)
    messages.success(request, f"{job.name} is deleted. What it made stays.")
    return redirect("training:home")


def _job(key: int) -> TrainingJob:
    return get_object_or_404(TrainingJob.objects.newest_first(), pk=key)


def _tried(request: HttpRequest, key: int, change: Callable[[TrainingJob], None]) -> HttpResponse:
    try:
        change(_job(key))
    except TrainingError as error:
        messages.error(request, str(error))
    return redirect("training:detail", key)


def _changed(
    request: HtmxHttpRequest, key: int, change: Callable[[TrainingJob], None]
) -> HttpResponse:
    job = _job(key)
    change(job)
    return _detail(request, _job(key)) if request.htmx else redirect("training:detail", key)


def _detail(request: HtmxHttpRequest, job: TrainingJob) -> HttpResponse:
    context: dict[str, Any] = {"job": job, "tiles": tiles_of(job), "remedy": remedy_of(job)}
    context |= told_of(job)
    if job.state == job.State.QUEUED:
        waiting = line.waiting()
        context |= {
            "position": waiting.index(job) + 1 if job in waiting else 1,
            "in_line": len(waiting),
        }
    if request.htmx:
        return render(request, "training/job.html#run", context)
    context |= _learnt(job) | {
        "yaml": write_yaml(job.config),
        "command": command_of(job),
        "place": PlaceForm(job=job),
        "table": _table(job),
        "chart_titles": CHART_TITLES,
        "others": TrainingJob.objects.newest_first().exclude(pk=job.pk)[:50],
        "overlaid": request.GET.getlist("with"),
        "smoothing": share(request.GET.get("smoothing", "")),
        "log_scale": request.GET.get("log") == "1",
        "by_time": request.GET.get("axis") == "time",
    }
    return render(request, "training/job.html", context)


def _learnt(job: TrainingJob) -> dict[str, Any]:
    return {"job": job, "answers": answers_of(job), "judged": judged_rows(job)}


def _table(job: TrainingJob) -> list[tuple[str, list[tuple[int, float, float, float]]]]:
    """The curves in a few numbers, for whoever can't see them drawn."""
    table = []
    for name, label in Metric.Name.choices:
        found = curve(job, name, points=TABLE_POINTS)
        if found.step:
            rows = zip(found.step, found.mean, found.low, found.high, strict=True)
            table.append((str(label), list(rows)))
    return table


def share(text: str) -> float:
    """A number from 0.0 to 0.99; 0.0 for anything else."""
    try:
        return min(max(float(text), 0.0), 0.99)
    except ValueError:
        return 0.0
