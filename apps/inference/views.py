"""What the Models page shows and does of the engine: each model's state, load, unload.

Answers to htmx are fragments that find their places on the page by themselves;
without JavaScript every action is a form that leads back to the Models page.
"""

from __future__ import annotations

from dataclasses import replace

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import trigger_client_event

from apps.inference import residency
from apps.inference.client import EngineError
from apps.inference.fits import fits_of
from apps.inference.loads import model_loads
from apps.inference.model_states import model_states
from apps.inference.services import evict
from apps.inference.snapshot import look_at_engine
from apps.models.models import LocalModel
from apps.rendering.htmx import HtmxHttpRequest, part_of

_FIRST_WORD = 0.5
"""Seconds an answer waits for the load's outcome, so that what fails at once is seen at once."""


@require_safe
@part_of("models:list")
def states(request: HttpRequest) -> HttpResponse:
    """The state of the models named in the address (``?model=SLUG&model=SLUG``)."""
    models = LocalModel.objects.filter(slug__in=request.GET.getlist("model"))
    rows = model_states(models, look_at_engine(), model_loads)
    return render(request, "inference/model_states.html", {"states": rows})


@require_safe
@part_of("models:detail")
def loaded(request: HttpRequest, slug: str) -> HttpResponse:
    """What the model holds and how long it stays; empty where it is not loaded."""
    model = get_object_or_404(LocalModel, slug=slug)
    (state,) = model_states([model], look_at_engine(), model_loads)
    return render(request, "inference/model_loaded.html", {"state": state})


@require_safe
@part_of("models:detail")
def fits(request: HttpRequest, slug: str) -> HttpResponse:
    """Whether the model fits this machine, for chat and for training."""
    model = get_object_or_404(LocalModel, slug=slug)
    context = {"fits": fits_of(model), "embeds": model.embeds}
    return render(request, "inference/model_fits.html", context)


@require_POST
def clear_cache(request: HttpRequest) -> HttpResponse:
    """Drops every cached prompt, in memory and on disk."""
    try:
        dropped = evict(entry_id=None)
    except EngineError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"The prompt cache is empty: {dropped} prompts were dropped.")
    return redirect("models:disk")


@require_POST
def load(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Starts to load the model; the page follows by ``states``."""
    model = get_object_or_404(LocalModel, slug=slug)
    started = residency.begin_load(model=model, wait=_FIRST_WORD)
    problem = started.error.message if started.error is not None else ""
    if request.htmx and started.running:
        return _state(request, model)
    done = f"Loading {model.name}." if started.running else f"{model.name} is loaded."
    return _after_action(request, model, done, problem)


@require_POST
def cancel_load(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Gives up a load that this hub started."""
    model = get_object_or_404(LocalModel, slug=slug)
    residency.cancel_load(model=model)
    return _after_action(request, model, f"Loading {model.name} was cancelled.")


@require_POST
def unload(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Frees the model's memory."""
    model = get_object_or_404(LocalModel, slug=slug)
    problem = ""
    try:
        residency.unload(model=model)
    except EngineError as error:
        problem = error.message
    return _after_action(request, model, f"{model.name} is unloaded.", problem)


def _after_action(
    request: HtmxHttpRequest, model: LocalModel, done: str, problem: str = ""
) -> HttpResponse:
    """The model's new state, ``problem`` beside it, or a redirect to the page that shows it."""
    if not request.htmx:
        level = messages.ERROR if problem else messages.SUCCESS
        messages.add_message(request, level, problem or done)
        return redirect("models:list")
    response = _state(request, model, problem)
    if not problem:
        trigger_client_event(response, "hub:toast", {"level": "success", "text": done})
    return response


def _state(request: HttpRequest, model: LocalModel, problem: str = "") -> HttpResponse:
    state = model_states([model], look_at_engine(), model_loads)[0]
    if problem:
        state = replace(state, problem=problem)
    return render(request, "inference/model_states.html", {"states": [state]})
