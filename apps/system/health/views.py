"""The Health page."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.rendering.htmx import HtmxHttpRequest
from apps.system.health import run_checks
from apps.system.health.models import Beat


@require_safe
def home(request: HtmxHttpRequest) -> HttpResponse:
    """Every check, run now; by htmx the checks alone."""
    report = run_checks()
    beats = Beat.objects.fresh() if report.named("database").state == "ok" else None
    context = {"report": report, "beats": beats, "tab": "health"}
    template = "system/health.html#checks" if request.htmx else "system/health.html"
    return render(request, template, context)
