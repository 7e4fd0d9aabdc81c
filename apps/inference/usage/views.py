"""The Usage page: what was asked of the API, by whom, and what it took."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.inference.usage.charts import FIGURES, course, figure_of
from apps.inference.usage.export import csv_lines, json_parts
from apps.inference.usage.filters import UsageFilter
from apps.inference.usage.models import RequestRecord
from apps.inference.usage.tiles import tiles

PER_PAGE = 50


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Totals, their course, and the requests; which ones is in the address."""
    form = UsageFilter(request.GET)
    context = {"form": form, "figures": FIGURES, "models": _models(), "query": _query(request)}
    if form.is_valid():
        context |= _found(request, form)
    return render(request, "usage/home.html", context)


@require_safe
def export(request: HttpRequest, file_type: str) -> HttpResponseBase:
    """The same requests as a file, all pages of them."""
    chosen = UsageFilter(request.GET)
    if not chosen.is_valid():
        return HttpResponse("The filter makes no sense; see the Usage page.", status=400)
    records = chosen.records()
    parts, kind = (
        (csv_lines(records), "text/csv; charset=utf-8")
        if file_type == "csv"
        else (json_parts(records), "application/json")
    )
    disposition = f'attachment; filename="usage.{file_type}"'
    return StreamingHttpResponse(
        parts, content_type=kind, headers={"Content-Disposition": disposition}
    )


def _found(request: HttpRequest, form: UsageFilter) -> dict[str, Any]:
    records = form.records()
    totals = records.totals()
    figure = figure_of(request.GET.get("figure", ""))
    sums = records.by_time("hour" if form.is_hourly else "day")
    page = Paginator(records.without_text(), PER_PAGE).get_page(request.GET.get("page"))
    return {
        "any": bool(totals["requests"]) or RequestRecord.objects.exists(),
        "course": course(figure, sums, days=form.days, hourly=form.is_hourly),
        "days": form.days,
        "page": page,
        "tiles": tiles(totals),
    }


def _models() -> list[str]:
    names = (
        RequestRecord.objects.exclude(model="").order_by("model").values_list("model", flat=True)
    )
    return list(names.distinct())


def _query(request: HttpRequest) -> str:
    """What the address filters by, for the links to pages and exports."""
    asked = request.GET.copy()
    asked.pop("page", None)
    return asked.urlencode()
