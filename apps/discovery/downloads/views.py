"""The Downloads page: what is on its way, what came, and the form that orders more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from apps.discovery.downloads import services
from apps.discovery.downloads.errors import DownloadError
from apps.discovery.downloads.forms import OrderForm
from apps.discovery.downloads.models import Download
from apps.discovery.errors import DiscoveryError
from apps.models.errors import RegistryError
from apps.rendering.htmx import HtmxHttpRequest, part_of

PER_PAGE = 25

Action = Callable[..., None]


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The whole page."""
    return _home(request, OrderForm())


@require_safe
@part_of("downloads:home")
def active(request: HttpRequest) -> HttpResponse:
    """What is on its way, and those of the address (``?download=1``) that ended meanwhile."""
    keys = [key for key in request.GET.getlist("download") if key.isdecimal() and len(key) < 18]
    followed = Download.objects.over().filter(pk__in=keys)
    return render(request, "downloads/home.html#active", _active(followed))


@require_safe
@part_of("discover:model")
def repository(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """How far the download of one repository is, for its page; empty where there is none."""
    downloads = Download.objects.filter(repo_id=f"{owner}/{name}")
    context = {"download": downloads.first(), "owner": owner, "name": name}
    return render(request, "downloads/repository.html", context)


@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Orders a download and leads to it; an order that is refused comes back with the reason."""
    form = OrderForm(request.POST)
    if not form.is_valid():
        return _home(request, form, status=422)
    order = form.cleaned_data
    try:
        ordered = services.start(
            repo_id=order["repo_id"].strip(),
            revision=order["revision"].strip() or None,
            slug=order["slug"].strip() or None,
        )
    except (DiscoveryError, RegistryError, DownloadError) as error:
        return _home(request, form, problem=str(error), status=422)
    if ordered.model is not None:
        messages.info(request, f"{ordered.model.repo_id} is here already.")
        return redirect("models:detail", ordered.model.slug)
    if ordered.joined:
        messages.info(request, f"{order['repo_id']} is on its way already.")
    return redirect("downloads:home")


@require_POST
def pause(request: HtmxHttpRequest, key: int) -> HttpResponse:
    """Has a download wait; its files stay."""
    return _act(request, key, services.pause)


@require_POST
def resume(request: HtmxHttpRequest, key: int) -> HttpResponse:
    """Goes on with one that stands still."""
    return _act(request, key, services.resume)


@require_POST
def cancel(request: HtmxHttpRequest, key: int) -> HttpResponse:
    """Ends a download and removes what came of it."""
    return _act(request, key, services.cancel)


@require_POST
def first(request: HtmxHttpRequest, key: int) -> HttpResponse:
    """Puts a download at the head of the queue."""
    return _act(request, key, services.put_first)


@require_POST
def forget(request: HtmxHttpRequest, key: int) -> HttpResponse:
    """Takes a download that is over off the list."""
    _do(request, key, services.forget)
    return redirect("downloads:home")


def _act(request: HtmxHttpRequest, key: int, action: Action) -> HttpResponse:
    """Do it, and show the part that changed; without htmx the whole page."""
    problem = _do(request, key, action, tell=not request.htmx)
    if request.htmx:
        ended = Download.objects.over().filter(pk=key)
        return render(request, "downloads/home.html#active", _active(ended) | {"problem": problem})
    return redirect("downloads:home")


def _do(request: HttpRequest, key: int, action: Action, *, tell: bool = True) -> str:
    """Do it; why it was refused, or nothing."""
    try:
        action(download=get_object_or_404(Download, pk=key))
    except DownloadError as error:
        if tell:
            messages.error(request, str(error))
        return str(error)
    return ""


def _home(
    request: HttpRequest, form: OrderForm, *, problem: str = "", status: int = 200
) -> HttpResponse:
    over = Paginator(Download.objects.over(), PER_PAGE).get_page(request.GET.get("page"))
    context = _active() | {"form": form, "order_problem": problem, "over": over}
    return render(request, "downloads/home.html", context, status=status)


def _active(just_ended: Iterable[Download] = ()) -> dict[str, Any]:
    downloads, ended = list(Download.objects.attention()), list(just_ended)
    followed = [download.pk for download in (*ended, *downloads)]
    waiting = [download for download in downloads if download.state == Download.State.QUEUED]
    return {
        "downloads": downloads,
        "next": min(waiting, key=_turn, default=None),
        "just_ended": ended,
        "followed": urlencode({"download": followed}, doseq=True),
    }


def _turn(download: Download) -> tuple[int, int]:
    return download.rank, download.pk
