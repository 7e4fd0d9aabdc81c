"""The Models pages: what the registry knows.

Whether a model is loaded is the engine's to say; the pages fetch that by URL name.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import trigger_client_event

from apps.models import deleting
from apps.models.consequences import deletion_of
from apps.models.errors import ModelInUse
from apps.models.forms import DefaultsForm, ServingForm
from apps.models.lineage import family_of
from apps.models.listing import Wish, columns, kinds, page_of
from apps.models.models import Adapter, LocalModel
from apps.models.sizes import readable
from apps.models.work.models import ModelJob
from apps.rendering.htmx import HtmxHttpRequest

RECENT_JOBS = 5
"""Jobs shown beside a model."""


def _page(request: HttpRequest, selected: LocalModel | None = None) -> dict[str, Any]:
    wish = Wish.of(request.GET)
    page = page_of(wish, request.GET.get("page"))
    # The pane shows a state too, even where a search leaves the model's row out.
    slugs = {model.slug for model in (*page, selected) if model is not None}
    return {
        "models": page,
        "total": page.paginator.count,
        "wish": wish,
        "page_query": f"{wish.query() or '?'}{'&' if wish.query() else ''}",
        "kinds": kinds(wish),
        "columns": columns(wish),
        "states_query": urlencode({"model": sorted(slugs)}, doseq=True),
    } | _pane(request, selected)


def _pane(request: HttpRequest, selected: LocalModel | None) -> dict[str, Any]:
    context: dict[str, Any] = {
        "selected": selected,
        "api_url": request.build_absolute_uri("/v1"),
    }
    if selected is None:
        return context
    return context | {
        "serving_form": ServingForm(instance=selected),
        "defaults_form": DefaultsForm(instance=selected),
        "family": family_of(selected),
        "jobs": ModelJob.objects.of(selected).select_related("model", "result")[:RECENT_JOBS],
    }


@require_safe
def model_list(request: HttpRequest) -> HttpResponse:
    """Every model, sorted and filtered by the address."""
    return render(request, "models/list.html", _page(request))


@require_safe
@vary_on_headers("HX-Request")
def model_detail(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """The list with one model beside it; for htmx the pane alone."""
    selected = get_object_or_404(LocalModel.objects.prefetch_related("adapters"), slug=slug)
    if request.htmx:
        return render(request, "models/list.html#pane", _pane(request, selected))
    return render(request, "models/list.html", _page(request, selected))


@require_POST
def serving(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Saves how the engine is to serve the model; answers htmx with the form alone."""
    model = get_object_or_404(LocalModel, slug=slug)
    form = ServingForm(request.POST, instance=model)
    return _saved(request, form, "serving", f"Saved how {model.name} is served.")


@require_POST
def defaults(request: HtmxHttpRequest, slug: str) -> HttpResponse:
    """Saves what calls get that leave it out; answers htmx with the form alone."""
    model = get_object_or_404(LocalModel, slug=slug)
    form = DefaultsForm(request.POST, instance=model)
    return _saved(request, form, "defaults", f"Saved the defaults of {model.name}.")


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, slug: str) -> HttpResponse:
    """What deleting the model takes along; a POST deletes it."""
    model = get_object_or_404(LocalModel, slug=slug)
    return _delete(request, model, None)


@require_http_methods(["GET", "HEAD", "POST"])
def delete_adapter(request: HttpRequest, slug: str, adapter_slug: str) -> HttpResponse:
    """What deleting the adapter takes along; a POST deletes it."""
    adapter = get_object_or_404(
        Adapter.objects.select_related("base"), base__slug=slug, slug=adapter_slug
    )
    return _delete(request, adapter.base, adapter)


def _delete(request: HttpRequest, model: LocalModel, adapter: Adapter | None) -> HttpResponse:
    problem = ""
    deletion = deletion_of(model, adapter)
    if request.method == "POST":
        try:
            if adapter is None:
                deleting.delete_model(model=model)
            else:
                deleting.delete_adapter(adapter=adapter)
        except ModelInUse as error:
            problem = str(error)
        else:
            freed = f", {readable(deletion.freed_bytes)} freed" * bool(deletion.freed_bytes)
            messages.success(request, f"{(adapter or model).name} is deleted{freed}.")
            return (
                redirect("models:list")
                if adapter is None
                else redirect("models:detail", model.slug)
            )
    context = {
        "model": model,
        "what": "the model" if adapter is None else "the adapter",
        "thing": (adapter or model).name,
        "deletion": deletion,
        "problem": problem,
    }
    return render(request, "models/delete.html", context, status=409 if problem else 200)


def _saved(
    request: HtmxHttpRequest, form: ServingForm | DefaultsForm, part: str, done: str
) -> HttpResponse:
    """Saves what the form holds; the part of the page that it is, or where it has mistakes."""
    saved = form.is_valid()
    if saved:
        form.save()
    if not request.htmx:
        if saved:
            messages.success(request, done)
            return redirect("models:detail", form.instance.slug)
        selected = LocalModel.objects.prefetch_related("adapters").get(pk=form.instance.pk)
        page = _page(request, selected) | {f"{part}_form": form}
        return render(request, "models/list.html", page, status=422)
    context = {"selected": form.instance, f"{part}_form": form, "saved": saved}
    response = render(request, f"models/list.html#{part}", context)
    if saved:
        trigger_client_event(response, "hub:toast", {"level": "success", "text": done})
    return response
