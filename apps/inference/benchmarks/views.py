"""The Benchmarks pages: start a run, follow it, read it, compare several, export them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from apps.inference.benchmarks import services
from apps.inference.benchmarks.charts import MAX_COMPARED, charts, measured
from apps.inference.benchmarks.conduct import settle_runs
from apps.inference.benchmarks.forms import StartForm
from apps.inference.benchmarks.history import MEASURES, history, measure_of
from apps.inference.benchmarks.schemas import PLANS, BenchmarkOut
from apps.inference.benchmarks.tiles import tiles
from apps.inference.models import BenchmarkRun
from apps.rendering.htmx import HtmxHttpRequest, part_of

PER_PAGE = 25

_HISTORY_LENGTH = 200
"""Runs that a history shows at most, the newest ones."""


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The whole page; which history it shows is in the address."""
    return _home(request, StartForm())


@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Queues a benchmark and leads to its page; a form with mistakes comes back with them."""
    form = StartForm(request.POST)
    if not form.is_valid():
        return _home(request, form)
    run = services.start(
        model_name=form.model_name,
        url=form.cleaned_data["base_url"],
        plan=form.cleaned_data["plan"],
    )
    return redirect("benchmarks:detail", run.pk)


@require_safe
@part_of("benchmarks:home")
def active(request: HttpRequest) -> HttpResponse:
    """The runs that are not over, and those of the address (``?run=1``) that ended meanwhile."""
    return render(request, "benchmarks/home.html#active", _active(_chosen(request)))


@require_safe
def detail(request: HtmxHttpRequest, key: int) -> HttpResponse:
    """One run: how far it is, or what it found. For htmx the part that changes."""
    settle_runs()
    run = get_object_or_404(BenchmarkRun, pk=key)
    template = "benchmarks/detail.html#run" if request.htmx else "benchmarks/detail.html"
    return render(request, template, _shown([run]) | {"run": run})


@require_safe
def compare(request: HttpRequest) -> HttpResponse:
    """The runs named in the address (``?run=1&run=2``), in the same charts."""
    runs = _chosen(request)
    done = [run for run in runs if run.is_done]
    context = _shown(done[:MAX_COMPARED]) | {
        "left_out": done[MAX_COMPARED:],
        "most": MAX_COMPARED,
        "query": urlencode({"run": [run.pk for run in runs]}, doseq=True),
    }
    return render(request, "benchmarks/compare.html", context)


@require_safe
def export(request: HttpRequest) -> HttpResponse:
    """The runs named in the address as a JSON file; all of them where none is named."""
    runs = _chosen(request) if "run" in request.GET else list(BenchmarkRun.objects.all())
    exported = [BenchmarkOut.of(run).model_dump(mode="json") for run in runs]
    name = f"benchmark-{runs[0].pk}" if len(runs) == 1 else "benchmarks"
    return JsonResponse(
        {"benchmarks": exported},
        json_dumps_params={"indent": 2},
        headers={"Content-Disposition": f'attachment; filename="{name}.json"'},
    )


@require_POST
def cancel(request: HtmxHttpRequest, key: int) -> HttpResponse:
    """Ends a run; the page follows until it has ended."""
    run = get_object_or_404(BenchmarkRun, pk=key)
    services.cancel(run=run)
    if request.htmx.target == "active":
        return render(request, "benchmarks/home.html#active", _active([run]))
    if request.htmx:
        return render(request, "benchmarks/detail.html#run", _shown([run]) | {"run": run})
    return redirect("benchmarks:detail", run.pk)


@require_POST
def delete(request: HttpRequest, key: int) -> HttpResponse:
    """Forgets a run that is over."""
    run = get_object_or_404(BenchmarkRun, pk=key)
    try:
        services.delete(run=run)
    except services.StillActive as error:
        messages.error(request, str(error))
        return redirect("benchmarks:detail", key)
    messages.success(request, f"Benchmark {key} is deleted.")
    return redirect("benchmarks:home")


def _home(request: HttpRequest, form: StartForm) -> HttpResponse:
    page: Page[BenchmarkRun] = Paginator(BenchmarkRun.objects.ended(), PER_PAGE).get_page(
        request.GET.get("page")
    )
    rows = {one.run.pk: one for one in measured(list(page))}
    context = (
        _active()
        | _history(request)
        | {
            "form": form,
            "plans": PLANS,
            "runs": page,
            "rows": [(run, tiles(rows[run.pk]) if run.pk in rows else ()) for run in page],
            "most": MAX_COMPARED,
        }
    )
    return render(request, "benchmarks/home.html", context)


def _active(followed: Iterable[BenchmarkRun] = ()) -> dict[str, Any]:
    settle_runs()
    runs = list(BenchmarkRun.objects.active())
    ended = [run for run in followed if not run.is_active]
    keys = [run.pk for run in (*ended, *runs)]
    return {
        "active": runs,
        "just_ended": ended,
        "active_query": urlencode({"run": keys}, doseq=True),
    }


def _history(request: HttpRequest) -> dict[str, Any]:
    done = BenchmarkRun.objects.done()
    names = list(done.order_by("model_name").values_list("model_name", flat=True).distinct())
    newest = done.first()
    if newest is None:
        return {"history": None}
    name = request.GET.get("model", "")
    name = name if name in names else newest.model_name
    measure = measure_of(request.GET.get("measure", ""))
    runs = list(done.filter(model_name=name).order_by("-finished_at")[:_HISTORY_LENGTH])
    return {
        "history": history(measured(runs[::-1]), measure),
        "history_model": name,
        "models": names,
        "measures": MEASURES,
    }


def _shown(runs: list[BenchmarkRun]) -> dict[str, Any]:
    shown = measured(runs)
    return {
        "shown": [(one, tiles(one)) for one in shown],
        "charts": charts(shown),
        "several": len(shown) > 1,
    }


def _chosen(request: HttpRequest) -> list[BenchmarkRun]:
    """The runs named in the address, the oldest first; numbers of no run are left out."""
    keys = [int(key) for key in request.GET.getlist("run") if key.isdecimal() and len(key) < 18]
    return list(BenchmarkRun.objects.filter(pk__in=keys).order_by("pk"))
