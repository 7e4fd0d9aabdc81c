"""The Evaluations pages: order one, follow it, read it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from apps.inference.services import ModelNotFound
from apps.rendering.htmx import HtmxHttpRequest
from apps.training.evaluation import services
from apps.training.evaluation.errors import EvaluationActive, EvaluationError
from apps.training.evaluation.forms import EvaluationForm
from apps.training.evaluation.models import Evaluation, PromptSet
from apps.training.evaluation.results import scores, side_by_side

PER_PAGE = 25

QUESTIONS_PER_PAGE = 20


@require_safe
@vary_on_headers("HX-Request")
def home(request: HtmxHttpRequest) -> HttpResponse:
    """Every evaluation, the newest first. For htmx the table alone."""
    page = Paginator(Evaluation.objects.listed(), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "evaluations": page,
        "active": any(each.is_active for each in page),
        "prompt_sets": PromptSet.objects.all(),
    }
    return render(request, f"evaluations/home.html{'#table' if request.htmx else ''}", context)


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form; ``?subject=`` and ``?dataset=`` say what it begins with."""
    if request.method != "POST":
        return _form(request, EvaluationForm(initial=_initial(request)))
    form = EvaluationForm(request.POST)
    if form.is_valid():
        try:
            evaluation = services.order(plan=form.plan, version=form.version)
        except (EvaluationError, ModelNotFound) as error:
            form.add_error(None, str(error))
        else:
            form.keep_prompts()
            services.start(evaluation=evaluation)
            return redirect(evaluation)
    return _form(request, form)


@require_POST
def delete_prompts(request: HttpRequest, key: int) -> HttpResponse:
    """Forgets a prompt set; evaluations keep what they asked."""
    get_object_or_404(PromptSet, pk=key).delete()
    return redirect("evaluations:home")


@require_safe
@vary_on_headers("HX-Request")
def detail(request: HtmxHttpRequest, key: int) -> HttpResponse:
    """One evaluation: its table, and the answers side by side. For htmx the part that changes."""
    return _detail(request, _evaluation(key))


@require_POST
def cancel(request: HtmxHttpRequest, key: int) -> HttpResponse:
    """Ends it; what is found by then stays."""
    evaluation = _evaluation(key)
    services.cancel(evaluation=evaluation)
    return _detail(request, evaluation) if request.htmx else redirect(evaluation)


@require_POST
def resume(request: HttpRequest, key: int) -> HttpResponse:
    """Asks what was not asked yet."""
    evaluation = _evaluation(key)
    services.resume(evaluation=evaluation)
    return redirect(evaluation)


@require_POST
def delete(request: HttpRequest, key: int) -> HttpResponse:
    """Forgets one that is at nobody's hands."""
    evaluation = _evaluation(key)
    try:
        services.delete(evaluation=evaluation)
    except EvaluationActive as error:
        messages.error(request, str(error))
        return redirect(evaluation)
    messages.success(request, f"Evaluation {key} is deleted.")
    return redirect("evaluations:home")


def _evaluation(key: int) -> Evaluation:
    return get_object_or_404(Evaluation.objects.newest_first(), pk=key)


def _initial(request: HttpRequest) -> dict[str, Any]:
    named = request.GET.getlist("subject")
    # An adapter is compared with its base.
    bases = [name.partition(":")[0] for name in named]
    dataset = request.GET.get("dataset", "")
    return {
        "subjects": list(dict.fromkeys([*bases, *named])),
        "dataset": int(dataset) if dataset.isdecimal() and len(dataset) < 18 else None,
    }


def _form(request: HttpRequest, form: EvaluationForm) -> HttpResponse:
    status = 422 if form.is_bound else 200
    return render(request, "evaluations/new.html", {"form": form}, status=status)


def _detail(request: HtmxHttpRequest, evaluation: Evaluation) -> HttpResponse:
    pages = Paginator(range(len(evaluation.questions)), QUESTIONS_PER_PAGE)
    page = pages.get_page(request.GET.get("page"))
    first = (page.number - 1) * QUESTIONS_PER_PAGE
    context = {
        "evaluation": evaluation,
        "plan": evaluation.ordered,
        "scores": scores(evaluation),
        "page": page,
        "asked": side_by_side(evaluation, first, first + QUESTIONS_PER_PAGE),
    }
    part = "#found" if request.htmx else ""
    return render(request, f"evaluations/detail.html{part}", context)
