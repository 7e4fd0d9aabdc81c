"""Where to look, for alerts that are about the hub as a whole and not about one row of it."""

from __future__ import annotations

from django.urls import reverse

_PAGES = {
    "engine": "system:health",
    "memory": "models:list",
    "disk": "models:disk",
    "errors": "usage:home",
}


def page_of(kind: str) -> str:
    """The address of a rule's page; empty where it has none, or is no rule (any more)."""
    name = _PAGES.get(kind)
    return reverse(name) if name else ""
