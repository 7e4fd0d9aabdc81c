"""The Audit page: who did what. The owner's alone."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.audit.filters import AuditFilter
from apps.audit.models import AuditEntry

PER_PAGE = 50


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The entries, the newest first; which ones is in the address."""
    form = AuditFilter(request.GET)
    found = form.entries() if form.is_valid() else AuditEntry.objects.none()
    asked = request.GET.copy()
    asked.pop("page", None)
    context = {
        "form": form,
        "page": Paginator(found, PER_PAGE).get_page(request.GET.get("page")),
        "query": asked.urlencode(),
        "is_filtered": any(form.data.values()),
    }
    return render(request, "audit/home.html", context)
