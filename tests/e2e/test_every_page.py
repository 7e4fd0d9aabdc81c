"""Every page of the hub, with data in it: no axe violation, no console error, nothing too wide.

A page of the URL configuration that takes nothing in its address and is not listed here fails
the test. What Hugging Face tells of a model is looked at in test_discover.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import NoReverseMatch, URLResolver, get_resolver, reverse
from playwright.sync_api import Page

from tests.hub_process import HubProcess, running_hub

PAGES = {
    "playground:home": "/playground/",
    "playground:conversation": "/playground/c/{conversation}/",
    "playground:collect": "/playground/collect/",
    "playground:collect_requests": "/playground/collect/requests/",
    "compare:home": "/compare/",
    "compare:comparison": "/compare/{comparison}/",
    "models:list": "/models/",
    "models:import": "/models/import/",
    "models:jobs": "/models/jobs/",
    "models:job": "/models/jobs/{model_job}/",
    "models:disk": "/models/disk/",
    "models:detail": "/models/{model}/",
    "models:convert": "/models/{model}/convert/",
    "models:fuse": "/models/{model}/fuse/",
    "models:export": "/models/{model}/export/",
    "discover:home": "/discover/",
    "discover:datasets": "/discover/datasets/",
    "downloads:home": "/downloads/",
    "publishing:home": "/publish/",
    "datasets:home": "/data/",
    "datasets:import": "/data/import/",
    "datasets:detail": "/data/{dataset}/",
    "datasets:versions": "/data/{dataset}/versions/",
    "datasets:map": "/data/{dataset}/map/",
    "datasets:tokens": "/data/{dataset}/tokens/",
    "datasets:row": "/data/{dataset}/rows/1/",
    "training:home": "/training/",
    "training:new": "/training/new/",
    "training:detail": "/training/{training}/",
    "training:compare": "/training/compare/?jobs=1,2",
    "evaluations:home": "/evaluations/",
    "evaluations:new": "/evaluations/new/",
    "evaluations:detail": "/evaluations/{evaluation}/",
    "benchmarks:home": "/benchmarks/",
    "benchmarks:detail": "/benchmarks/{runs[0]}/",
    "benchmarks:compare": "/benchmarks/compare/?run={runs[0]}&run={runs[1]}",
    "usage:home": "/usage/",
    "keys:home": "/keys/",
    "system:overview": "/system/",
    "system:health": "/system/health/",
    "system:logs": "/system/logs/",
    "system:alerts": "/system/alerts/",
    "audit:home": "/audit/",
    "accounts:sign_in": "/sign-in/",
    "accounts:join": "/join/{number}/{token}/",
    "accounts:account": "/account/",
    "accounts:users": "/users/",
}

LOOK_AT = """
    ([...document.querySelectorAll("main details")].forEach(each => each.open = true),
     document.documentElement.scrollWidth - document.documentElement.clientWidth)
"""
"""How much wider than the window the page is, with everything open that can be opened."""

SETTLED = """
    () => Promise.allSettled(
        document.getAnimations().filter(each => each instanceof CSSTransition)
            .map(each => each.finished)
    ).then(() => true)
"""
"""Colours halfway from one theme to the other have no contrast."""


def _names(patterns: list[Any], before: str = "") -> Iterator[str]:
    for each in patterns:
        if not isinstance(each, URLResolver):
            yield before + str(each.name)
        elif each.app_name not in ("ninja", "admin"):
            yield from _names(
                each.url_patterns, f"{before}{each.namespace}:" if each.namespace else before
            )


@pytest.fixture(scope="module")
def filled() -> Iterator[tuple[HubProcess, dict[str, Any]]]:
    """A hub that has something of every kind."""
    with running_hub(settings={"MLXHUB_HF_OFFLINE": "1"}) as hub:
        done = subprocess.run(
            [sys.executable, "-m", "tests.e2e.filling"],
            env=hub.environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        yield hub, json.loads(done.stdout.splitlines()[-1])


def _unlisted(page: Page, url: str) -> Iterator[str]:
    """Pages that are whole documents, and not among those above."""
    for name in set(_names(get_resolver().url_patterns)) - PAGES.keys():
        try:
            path = reverse(name)
        except NoReverseMatch:
            continue
        answer = page.request.get(url + path, max_redirects=0)
        if answer.status == 200 and "<html" in answer.text():
            yield name


def test_every_page_is_accessible_in_both_themes_and_fits_a_phone(
    page: Page, filled: tuple[HubProcess, dict[str, Any]]
) -> None:
    hub, names = filled
    found: list[tuple[str, object]] = [(name, "unlisted") for name in _unlisted(page, hub.url)]
    for name, path in PAGES.items():
        page.set_viewport_size({"width": 390, "height": 844})
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        answer = page.goto(hub.url + path.format_map(names))
        assert answer is not None
        if answer.status != 200:
            found.append((name, answer.status))
        if (too_wide := page.evaluate(LOOK_AT)) > 0:
            found.append((name, f"{too_wide} px too wide"))
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            page.evaluate(SETTLED)
            for violation in Axe().run(page).response["violations"]:
                nodes = [node["html"][:200] for node in violation["nodes"]]
                found.append((f"{name}, {theme}", (violation["id"], nodes)))
    assert found == []
