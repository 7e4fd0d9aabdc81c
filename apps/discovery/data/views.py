"""Datasets on the Discover pages: search them, look at one, order some of its splits."""

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

from apps.datasets.authors import author_of
from apps.discovery.data.finding import DataFacts, data_facts, find_datasets
from apps.discovery.data.forms import DataOrderForm, DataSearchForm
from apps.discovery.data.parts import DEFAULT
from apps.discovery.data.reference import dataset_in
from apps.discovery.downloads.data_orders import start_data
from apps.discovery.downloads.errors import DownloadError
from apps.discovery.downloads.models import Download
from apps.discovery.errors import DiscoveryError, InvalidRepoId, RepoNotFound
from apps.discovery.keeping import Kept
from apps.discovery.presentation import SearchAddress
from apps.discovery.reference import is_revision, require_revision

_WRITTEN = ("rows", "name")
"""The fields of an order that show their own errors."""


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The datasets that the address asks for; a dataset's name leads to its page."""
    named = dataset_in(request.GET.get("q", ""), settings.HUB.hf_endpoint)
    if named:
        return redirect("discover:dataset", *named.split("/"))
    form = DataSearchForm(request.GET)
    context: dict[str, Any] = {
        "form": form,
        "address": SearchAddress(request.GET),
        "hub": urlsplit(settings.HUB.hf_endpoint).netloc,
    }
    if form.is_valid():
        try:
            kept = find_datasets(form.wanted, form.cleaned_data["cursor"])
            context |= {"kept": kept, "found": kept.value}
        except DiscoveryError as error:
            context["problem"] = str(error)
    return render(request, "discover/datasets.html", context)


@require_POST
def refresh(request: HttpRequest) -> HttpResponse:
    """Asks the hub anew for the search in the address, and goes back to it."""
    form = DataSearchForm(request.GET)
    if form.is_valid():
        try:
            find_datasets(form.wanted, form.cleaned_data["cursor"], anew=True)
        except DiscoveryError as error:
            messages.warning(request, str(error))
    return redirect(f"{reverse('discover:datasets')}?{request.GET.urlencode()}")


@require_safe
def dataset(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """One dataset: what it is, its splits to choose from, and its card."""
    return _page(request, f"{owner}/{name}", DataOrderForm())


@require_POST
def refresh_dataset(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Asks the hub anew for a dataset, and goes back to its page."""
    revision = request.GET.get("revision", "")
    try:
        if not revision or is_revision(revision):
            data_facts(f"{owner}/{name}", revision, anew=True)
    except DiscoveryError as error:
        messages.warning(request, str(error))
    return redirect(f"{reverse('discover:dataset', args=[owner, name])}?{request.GET.urlencode()}")


@require_POST
def order(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Orders some splits and leads to the downloads; a refusal comes back with the reason."""
    repo_id = f"{owner}/{name}"
    form = DataOrderForm({**request.POST.dict(), "split": request.POST.getlist("split")})
    if not form.is_valid():
        # The two fields that are written in tell it themselves.
        unseen = [str(errors[0]) for name, errors in form.errors.items() if name not in _WRITTEN]
        return _page(request, repo_id, form, problem="".join(unseen[:1]), status=422)
    given = form.cleaned_data
    try:
        ordered = start_data(
            repo_id=repo_id,
            choice=form.choice,
            revision=given["revision"] or None,
            name=given["name"].strip(),
            by=author_of(request),
        )
    except (DiscoveryError, DownloadError) as error:
        return _page(request, repo_id, form, problem=str(error), status=422)
    if ordered.joined:
        messages.info(request, f"{repo_id} is on its way already.")
    return redirect("downloads:home")


def _page(
    request: HttpRequest,
    repo_id: str,
    form: DataOrderForm,
    *,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    """The page of one dataset, with the configuration and revision that are asked for."""
    asked = request.POST if request.method == "POST" else request.GET
    revision, config = asked.get("revision", ""), asked.get("config", "")
    context: dict[str, Any] = {
        "repo_id": repo_id,
        "owner": repo_id.partition("/")[0],
        "name": repo_id.partition("/")[2],
        "address": f"{settings.HUB.hf_endpoint.rstrip('/')}/datasets/{repo_id}",
        "revision": revision,
        "query": urlencode({k: v for k, v in (("revision", revision), ("config", config)) if v}),
        "form": form,
        "order_problem": problem,
    }
    try:
        require_revision(revision)
        kept = data_facts(repo_id, revision)
        context |= _facts(kept, config)
        context["command"] = _command(repo_id, context["config"], revision)
        context["revision_is_listed"] = revision in {each.name for each in kept.value.revisions}
    except (InvalidRepoId, RepoNotFound) as error:
        status, context["problem"] = 404, str(error)
    except DiscoveryError as error:
        status, context["problem"] = 502, str(error)
    brought = Download.objects.filter(repo_type=Download.RepoType.DATASET, repo_id=repo_id)
    context["here"] = brought.exclude(dataset=None).select_related("dataset")[:5]
    return render(request, "discover/dataset.html", context, status=status)


def _command(repo_id: str, config: str, revision: str) -> str:
    """The same import on the command line."""
    named = ["--revision", revision] if revision else []
    return shlex.join(["mlx-hub", "data", "import", f"hf:{repo_id}:{config}", *named])


def _facts(kept: Kept[DataFacts], config: str) -> dict[str, Any]:
    facts = kept.value
    if config not in facts.configs:
        config = DEFAULT if DEFAULT in facts.configs else next(iter(facts.configs), "")
    parts = [part for part in facts.repository.parts if part.config == config]
    return {
        "kept": kept,
        "facts": facts,
        "dataset": facts.repository.dataset,
        "config": config,
        "parts": parts,
        "nbytes": sum(part.nbytes for part in parts),
    }
