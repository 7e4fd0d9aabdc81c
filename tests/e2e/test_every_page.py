"""Every page of the hub, with data in it: no axe violation, no console error, nothing too wide.

Each is opened once, and then changes its width and its theme.

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
from django.urls import NoReverseMatch, URLResolver, get_resolver, reverse
from playwright.sync_api import Page

from tests.e2e.looking import COLOURS, violations
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

OTHERS = (
    "/system/?range=month",
    "/training/new/?clone={training}",
    "/usage/?first=nonsense",
    "/usage/?key=none&last=2026-01-01",
)
"""The same pages in another state."""

DRAWN = ("benchmarks:home", "training:compare", "training:detail", "usage:home")
"""Pages with charts, which scripts draw."""

WIDTHS = (390, 1000, 1440)

LOOK_AT = """
    async () => {
        for (const each of document.querySelectorAll("main details")) each.open = true;
        for (const each of document.querySelectorAll(".table-scroll"))
            each.style.backgroundImage = "none";
        for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
        return Math.max(...[document.documentElement, ...document.querySelectorAll("main")]
            .map(each => each.scrollWidth - each.clientWidth));
    }
"""
"""How much wider than the window the page is, with everything open that can be opened, once its
charts have taken their new width.

No contrast can be told over a picture, as the shadows at a table's edges are.
"""

SETTLED = """
    async () => {
        for (let changing = [null]; changing.length;) {
            for (const each of changing) each?.finish();
            await new Promise(requestAnimationFrame);
            changing = document.getAnimations().filter(each => each instanceof CSSTransition);
        }
    }
"""
"""Colours halfway from one theme to the other have no contrast.

What an element inherits changes once its parent has changed: with the next frame.
"""


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


def _unlisted(page: Page, url: str) -> Iterator[tuple[str, str]]:
    """Addresses that answer a browser with a page that is not among those above, or with less."""
    for name in set(_names(get_resolver().url_patterns)) - PAGES.keys():
        try:
            path = reverse(name)
        except NoReverseMatch:
            continue
        answer = page.request.get(url + path, max_redirects=0)
        if answer.status == 200 and answer.headers["content-type"].startswith("text/html"):
            yield name, "unlisted" if "<html" in answer.text() else "no whole page"


def _flaws(page: Page, url: str, *, drawn: bool) -> Iterator[object]:
    """What is wrong with a page, by all rules in the light theme, in the dark one by its colours."""
    page.set_viewport_size({"width": WIDTHS[0], "height": 844})
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    answer = page.goto(url)
    assert answer is not None
    if answer.status != 200:
        yield answer.status
    if drawn:
        page.locator("main canvas").first.wait_for()
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 844})
        if (too_wide := page.evaluate(LOOK_AT)) > 0:
            yield f"{too_wide} px too wide for {width}"
    for width, themes in ((WIDTHS[-1], ("light", "dark")), (WIDTHS[0], ("dark", "light"))):
        page.set_viewport_size({"width": width, "height": 844})
        for theme in themes:
            page.emulate_media(color_scheme=theme)
            page.evaluate(SETTLED)
            for rule, elements in violations(page, COLOURS if theme == "dark" else None):
                yield f"{theme}, {width}", rule, [each[:200] for each in elements]


def test_every_page_is_accessible_in_both_themes_and_fits_every_width(
    page: Page, filled: tuple[HubProcess, dict[str, Any]]
) -> None:
    hub, names = filled
    found: list[tuple[str, object]] = [*_unlisted(page, hub.url)]
    for name, path in [*PAGES.items(), *((path, path) for path in OTHERS)]:
        url = hub.url + path.format_map(names)
        found += [(name, flaw) for flaw in _flaws(page, url, drawn=name in DRAWN)]
    assert found == []
