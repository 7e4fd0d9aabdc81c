"""The Logs page: what all processes wrote, searched and followed."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.rendering.htmx import HtmxHttpRequest
from apps.system.logs.forms import LogSearch
from apps.system.logs.reading import Found, find

PER_PAGE = 200


@require_safe
def home(request: HtmxHttpRequest) -> HttpResponse:
    """The newest lines that fit; by htmx, which follows them, the lines alone."""
    form = LogSearch(request.GET)
    found = find(form.search, at_most=PER_PAGE) if form.is_valid() else Found((), False)
    context: dict[str, Any] = {
        "form": form,
        "found": found,
        "is_newest": not request.GET.get("before"),
        "query": _query(request),
        "tab": "logs",
        "oldest": found.lines[-1].time if found.lines else None,
    }
    template = "system/logs.html#lines" if request.htmx else "system/logs.html"
    return render(request, template, context)


def _query(request: HttpRequest) -> str:
    """What the address asks for, for the link to older lines."""
    asked = request.GET.copy()
    asked.pop("before", None)
    return asked.urlencode()
