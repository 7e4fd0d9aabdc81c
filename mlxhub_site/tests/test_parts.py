"""Addresses that answer with a part of a page lead a browser to the page itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLResolver, get_resolver, resolve, reverse

HTMX = {"HX-Request": "true"}
MODEL = {"slug": "tiny"}

PARTS: dict[str, tuple[dict[str, Any], str]] = {
    "benchmarks:active": ({}, "/benchmarks/"),
    "datasets:jobs": ({"slug": "faq"}, "/data/faq/"),
    "downloads:active": ({}, "/downloads/"),
    "downloads:repository": ({"owner": "ada", "name": "tiny"}, "/discover/ada/tiny/"),
    "inference:fits": (MODEL, "/models/tiny/"),
    "inference:loaded": (MODEL, "/models/tiny/"),
    "inference:states": ({}, "/models/"),
    "models:import_jobs": ({}, "/models/import/"),
    "system:cache": ({}, "/system/"),
    "system:engine": ({}, "/system/"),
    "system:palette": ({}, "/system/"),
    "system:status": ({}, "/system/"),
    "training:learnt": ({"key": 7}, "/training/7/"),
    "training:queue": ({}, "/training/"),
}
"""Every one of them by its URL name: values of its address, and where a browser ends up."""


def _named(patterns: list[Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """URL names with their views."""
    for each in patterns:
        if isinstance(each, URLResolver):
            space = f"{each.namespace}:" if each.namespace else ""
            yield from _named(each.url_patterns, before + space)
        else:
            yield f"{before}{each.name}", each.callback


def test_each_is_listed_here() -> None:
    views = _named(get_resolver().url_patterns)
    assert {name for name, view in views if hasattr(view, "part_of")} == PARTS.keys()


@pytest.mark.parametrize("name", PARTS)
def test_a_browser_is_sent_to_the_page(client: Client, name: str) -> None:
    values, page = PARTS[name]
    answer = client.get(reverse(name, kwargs=values))
    assert (answer.status_code, answer.headers.get("Location")) == (302, page)
    assert not hasattr(resolve(page).func, "part_of")


def test_values_that_no_page_takes_are_not_found(client: Client) -> None:
    assert client.get("/downloads/of/-/tiny/").status_code == 404


@pytest.mark.django_db
def test_htmx_gets_the_part_alone(client: Client) -> None:
    for name in ("benchmarks:active", "downloads:active", "inference:states"):
        part = client.get(reverse(name), headers=HTMX)
        assert part.status_code == 200
        assert "<html" not in part.content.decode()
