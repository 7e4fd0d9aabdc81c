"""The Publish page: what goes to the hub, and how far it is."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from apps.discovery.configured import configured_access
from apps.discovery.errors import DiscoveryError
from apps.discovery.publishing import services
from apps.discovery.publishing.errors import PublicationActive, PublishingError
from apps.discovery.publishing.forms import PublishForm
from apps.discovery.publishing.models import Publication
from apps.rendering.htmx import HtmxHttpRequest

SHOWN = 50
"""Newest publications."""


@require_http_methods(["GET", "HEAD", "POST"])
@vary_on_headers("HX-Request")
def home(request: HtmxHttpRequest) -> HttpResponse:
    """The form, filled as the address says, and the publications. For htmx these alone."""
    if request.method != "POST":
        if request.htmx:
            return render(request, "publishing/home.html#publications", _publications())
        return _page(request, PublishForm.of_query(request.GET))
    form = PublishForm(request.POST)
    if form.is_valid():
        values = form.cleaned_data
        try:
            publication = services.order(
                model=form.named.model,
                adapter=form.named.adapter,
                repo_id=values["repo_id"],
                private=values["private"],
                existing=values["existing"],
            )
        except (PublishingError, DiscoveryError) as error:
            form.add_error(None, str(error))
        else:
            services.start(publication=publication)
            return redirect("publishing:home")
    return _page(request, form, 422)


@require_POST
def cancel(request: HtmxHttpRequest, key: int) -> HttpResponse:
    """Ends it."""
    services.cancel(publication=_publication(key))
    if request.htmx:
        return render(request, "publishing/home.html#publications", _publications())
    return redirect("publishing:home")


@require_POST
def repeat(request: HttpRequest, key: int) -> HttpResponse:
    """Sends what is missing."""
    try:
        services.repeat(publication=_publication(key))
    except DiscoveryError as error:
        messages.error(request, str(error))
    return redirect("publishing:home")


@require_POST
def forget(request: HttpRequest, key: int) -> HttpResponse:
    """Deletes its row; the repository stays."""
    try:
        services.forget(publication=_publication(key))
    except PublicationActive as error:
        messages.error(request, str(error))
    return redirect("publishing:home")


def _publication(key: int) -> Publication:
    return get_object_or_404(Publication, pk=key)


def _publications() -> dict[str, Any]:
    found = list(Publication.objects.newest_first()[:SHOWN])
    return {
        "publications": found,
        "active": any(each.is_active for each in found),
        "endpoint": configured_access().endpoint,
    }


def _page(request: HttpRequest, form: PublishForm, status: int = 200) -> HttpResponse:
    context = {"form": form, "hindrance": services.hindrance()} | _publications()
    return render(request, "publishing/home.html", context, status=status)
