"""The Models pages: what the registry knows.

Whether a model is loaded is the engine's to say; the pages fetch that by URL name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db.models import F
from django.db.models.expressions import OrderBy
from django.db.models.functions import Lower
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import trigger_client_event
from django_htmx.middleware import HtmxDetails

from apps.models.forms import ServingForm
from apps.models.models import LocalModel

_SORTABLE = {
    "name": "Name",
    "size_bytes": "Size",
    "parameters": "Parameters",
    "quantization": "Quantisation",
    "context_length": "Context",
}
_NUMBERS = {"size_bytes", "parameters", "context_length"}


class HtmxHttpRequest(HttpRequest):
    htmx: HtmxDetails


@dataclass(frozen=True)
class Column:
    """A table head that sorts by its column."""

    field: str
    label: str
    url: str
    sorted: str
    """``ascending``, ``descending`` or empty: the value of ``aria-sort``."""

    @property
    def is_number(self) -> bool:
        return self.field in _NUMBERS


def _sort(request: HttpRequest) -> str:
    """The order the address asks for; one that is not known means by name."""
    wanted = request.GET.get("sort", "")
    return wanted if wanted.removeprefix("-") in _SORTABLE else "name"


def _ordering(sort: str) -> OrderBy:
    """The order itself; letters count alike, large or small."""
    field = sort.removeprefix("-")
    key = F(field) if field in _NUMBERS else Lower(field)
    return key.desc() if sort.startswith("-") else key.asc()


def _columns(sort: str, search: str) -> list[Column]:
    columns = []
    for field, label in _SORTABLE.items():
        target = f"-{field}" if sort == field else field
        query = {"sort": target} | ({"q": search} if search else {})
        direction = {field: "ascending", f"-{field}": "descending"}.get(sort, "")
        columns.append(
            Column(field, label, f"{reverse('models:list')}?{urlencode(query)}", direction)
        )
    return columns


def _page(request: HttpRequest, selected: LocalModel | None = None) -> dict[str, Any]:
    search = request.GET.get("q", "").strip()
    sort = _sort(request)
    models = list(LocalModel.objects.matching(search).order_by(_ordering(sort), "pk"))
    # The pane shows a state too, even where a search leaves the model's row out.
    slugs = {model.slug for model in (*models, selected) if model is not None}
    return {
        "models": models,
        "search": search,
        "sort": sort,
        "columns": _columns(sort, search),
        "states_query": urlencode({"model": sorted(slugs)}, doseq=True),
    } | _pane(request, selected)


def _pane(request: HttpRequest, selected: LocalModel | None) -> dict[str, Any]:
    api_url = request.build_absolute_uri("/v1")
    form = ServingForm(instance=selected) if selected is not None else None
    return {"selected": selected, "api_url": api_url, "serving_form": form}


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
    saved = form.is_valid()
    if saved:
        form.save()
    if not request.htmx:
        if saved:
            messages.success(request, f"Saved how {model.name} is served.")
            return redirect("models:detail", slug)
        selected = LocalModel.objects.prefetch_related("adapters").get(slug=slug)
        page = _page(request, selected) | {"serving_form": form}
        return render(request, "models/list.html", page, status=422)
    response = render(
        request, "models/list.html#serving", {"selected": model, "serving_form": form}
    )
    if saved:
        toast = {"level": "success", "text": f"Saved how {model.name} is served."}
        trigger_client_event(response, "hub:toast", toast)
    return response
