"""What the palette shows for the letters typed so far."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.accounts.context import visitor
from apps.rendering.htmx import part_of
from apps.system.palette.finding import MAX_WORDS, entries


@require_safe
@never_cache
@part_of("system:overview")
def found(request: HttpRequest) -> HttpResponse:
    """The places that have ``?q`` in their names."""
    words = request.GET.get("q", "").strip()[:MAX_WORDS]
    who = visitor(request)["visitor"]
    context = {"words": words, "entries": entries(words, who["role"])}
    return render(request, "system/palette.html", context)
