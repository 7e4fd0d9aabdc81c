"""The System page and the status bar: what the engine is and does now.

What a page shows is asked for in a glance: an engine that is down or silent is
shown as such, and never holds a page up. An action waits for the engine's turn.
"""

from __future__ import annotations

import time
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from apps.discovery.downloads.models import Download
from apps.inference.client import EngineError
from apps.inference.engine.protocol import CacheEntries, ListCache
from apps.inference.services import evict, glancing_engine, pin
from apps.inference.snapshot import EngineSnapshot, look_at_engine
from apps.jobs import line
from apps.rendering.htmx import HtmxHttpRequest, part_of
from apps.system.alerts.models import Alert
from apps.system.forms import EntryForm, PinForm
from apps.system.history.figures import charts
from apps.system.history.grains import RANGES, range_of
from apps.system.history.memory import memory_outlook
from apps.system.history.reading import courses
from apps.system.tiles import cache_tiles, engine_tiles, memory_parts


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """The whole page."""
    seen = look_at_engine()
    context = _engine(seen) | _cache(seen) | _history(request) | {"tab": "overview"}
    return render(request, "system/overview.html", context)


@require_safe
@part_of("system:overview")
def status(request: HttpRequest) -> HttpResponse:
    """The status bar's items."""
    context = {
        "engine": look_at_engine(),
        "queue": Download.objects.queue(),
        "at_work": line.at_work(),
        "in_line": len(line.waiting()),
        "alerts": Alert.objects.firing().count(),
    }
    return render(request, "system/status.html", context)


@require_safe
@part_of("system:overview")
def engine(request: HttpRequest) -> HttpResponse:
    """The page's part about the engine and its memory."""
    return render(request, "system/overview.html#engine", _engine(look_at_engine()))


@require_safe
@part_of("system:overview")
def cache(request: HttpRequest) -> HttpResponse:
    """The page's part about the prompt cache."""
    return render(request, "system/overview.html#cache", _cache(look_at_engine()))


@require_POST
def cache_evict(request: HtmxHttpRequest) -> HttpResponse:
    """Drops the entry named in the form, or every entry where none is named."""
    form = EntryForm(request.POST)
    if not form.is_valid():
        return _after_action(request, form.problem)
    try:
        evict(entry_id=form.cleaned_data["entry_id"] or None)
    except EngineError as error:
        return _after_action(request, error.message)
    return _after_action(request)


@require_POST
def cache_pin(request: HtmxHttpRequest) -> HttpResponse:
    """Keeps the entry named in the form from eviction, or stops keeping it."""
    form = PinForm(request.POST)
    if not form.is_valid():
        return _after_action(request, form.problem)
    try:
        pin(entry_id=form.cleaned_data["entry_id"], pinned=form.cleaned_data["pinned"])
    except EngineError as error:
        return _after_action(request, error.message)
    return _after_action(request)


def _history(request: HttpRequest) -> dict[str, Any]:
    """What the charts are about; their script draws them, and tables tell the same in short."""
    shown, now = range_of(request.GET.get("range", "")), time.time()
    return {
        "ranges": RANGES,
        "shown": shown,
        "charts": charts(courses(shown, now=now)),
    }


def _engine(seen: EngineSnapshot) -> dict[str, Any]:
    memory = seen.memory
    return {
        "engine": seen,
        "engine_tiles": engine_tiles(seen),
        "memory": memory,
        "tight": memory_outlook(now=time.time()),
        "memory_parts": memory_parts(memory) if memory else [],
    }


def _cache(seen: EngineSnapshot) -> dict[str, Any]:
    """The statistics of ``seen`` and the entries, where the engine answers for both."""
    nothing: dict[str, Any] = {"cache": None, "cache_tiles": [], "entries": ()}
    if seen.cache is None:
        return nothing
    try:
        entries = glancing_engine().call(ListCache(), CacheEntries).entries
    except EngineError:
        # The engine went away since; the part about the engine says so next.
        return nothing
    return {"cache": seen.cache, "cache_tiles": cache_tiles(seen.cache), "entries": entries}


def _after_action(request: HtmxHttpRequest, problem: str = "") -> HttpResponse:
    """The cache's part with ``problem`` beside it; without htmx the whole page again."""
    if request.htmx:
        context = _cache(look_at_engine()) | {"problem": problem}
        return render(request, "system/overview.html#cache", context)
    if problem:
        messages.error(request, problem)
    return redirect("system:overview")
