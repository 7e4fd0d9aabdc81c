"""The Discover pages: search Hugging Face, and judge a model before it is fetched."""

from __future__ import annotations

import shlex
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRedirect, push_url

from apps.discovery.errors import DiscoveryError, InvalidRepoId, RepoNotFound
from apps.discovery.finding import Found, find_models
from apps.discovery.forms import ARCHITECTURES, LICENSES, SearchForm
from apps.discovery.model_page import model_facts
from apps.discovery.presentation import ModelView, SearchAddress
from apps.discovery.reference import Reference, is_revision, reference_in, require_revision
from apps.inference.machine import this_machine
from apps.models.models import LocalModel
from apps.rendering.htmx import HtmxHttpRequest


@require_safe
@vary_on_headers("HX-Request")
def home(request: HtmxHttpRequest) -> HttpResponse:
    """The models that the address asks for; a repository's name leads to its page.

    For htmx the results alone, or with a cursor the next rows alone.
    """
    named = reference_in(request.GET.get("q", ""), settings.HUB.hf_endpoint)
    if named:
        page = _address(named)
        return HttpResponseClientRedirect(page) if request.htmx else redirect(page)
    form = SearchForm(request.GET)
    address = SearchAddress(request.GET)
    context = {
        "form": form,
        "address": address,
        "architectures": ARCHITECTURES,
        "licenses": LICENSES,
        "hub": urlsplit(settings.HUB.hf_endpoint).netloc,
    } | _results(form)
    if request.htmx.target == "more":
        return render(request, "discover/home.html#rows", context)
    if request.htmx.target == "results":
        response = render(request, "discover/home.html#results", context)
        return push_url(response, f"{reverse('discover:home')}?{address.first}")
    return render(request, "discover/home.html", context)


@require_POST
def refresh(request: HttpRequest) -> HttpResponse:
    """Asks the hub anew for the search in the address, and goes back to it."""
    form = SearchForm(request.GET)
    if form.is_valid():
        try:
            find_models(form.wanted, form.cleaned_data["cursor"], anew=True)
        except DiscoveryError as error:
            messages.warning(request, str(error))
    return redirect(f"{reverse('discover:home')}?{request.GET.urlencode()}")


@require_safe
def model(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """One model: what it is, whether it fits here, and its card."""
    repo_id, revision = f"{owner}/{name}", request.GET.get("revision", "")
    context: dict[str, Any] = {
        "repo_id": repo_id,
        "owner": owner,
        "name": name,
        "revision": revision,
        "address": f"{settings.HUB.hf_endpoint.rstrip('/')}/{repo_id}",
        "query": request.GET.urlencode(),
        "pull_command": _pull_command(repo_id, revision),
    }
    status = 200
    try:
        require_revision(revision)
        kept = model_facts(repo_id, revision)
        context["view"] = ModelView.of(kept, request.GET)
    except (InvalidRepoId, RepoNotFound) as error:
        status, context["problem"] = 404, str(error)
    except DiscoveryError as error:
        status, context["problem"] = 502, str(error)
    context["here"] = LocalModel.objects.filter(repo_id=repo_id).first()
    return render(request, "discover/model.html", context, status=status)


@require_POST
def refresh_model(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Asks the hub anew for a model, and goes back to its page."""
    revision = request.GET.get("revision", "")
    try:
        if not revision or is_revision(revision):
            model_facts(f"{owner}/{name}", revision, anew=True)
    except DiscoveryError as error:
        messages.warning(request, str(error))
    return redirect(f"{reverse('discover:model', args=[owner, name])}?{request.GET.urlencode()}")


def _results(form: SearchForm) -> dict[str, Any]:
    """What a valid form finds, or why it can't."""
    if not form.is_valid():
        return {}
    try:
        found = find_models(form.wanted, form.cleaned_data["cursor"])
    except DiscoveryError as error:
        return {"problem": str(error)}
    return {
        "found": found,
        "here": _here(found),
        "wanted": form.wanted,
        "machine": this_machine(),
    }


def _here(found: Found) -> set[str]:
    """Of the models found, those that are on this machine."""
    names = [model.repo_id for model in found.models]
    return set(LocalModel.objects.filter(repo_id__in=names).values_list("repo_id", flat=True))


def _pull_command(repo_id: str, revision: str) -> str:
    """The same download on the command line."""
    named = ["--revision", revision] if revision else []
    return shlex.join(["mlx-hub", "pull", repo_id, *named])


def _address(named: Reference) -> str:
    owner, _, name = named.repo_id.partition("/")
    query = f"?{urlencode({'revision': named.revision})}" if named.revision else ""
    return reverse("discover:model", args=[owner, name]) + query
