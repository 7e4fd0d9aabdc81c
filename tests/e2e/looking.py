"""What axe-core finds wrong with the page that is open."""

from __future__ import annotations

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

_RUN = """
    only => axe.run({resultTypes: ["violations"], ...only})
        .then(found => found.violations.map(each => [each.id, each.nodes.map(node => node.html)]))
"""
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
"""Of axe's rules, those whose outcome a theme can change."""


def violations(page: Page, only: dict[str, list[str]] | None = None) -> list[tuple[str, list[str]]]:
    """The rules that are broken, each with the elements that break it. ``only``: by these rules."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    return [(rule, elements) for rule, elements in page.evaluate(_RUN, only or {})]


def assert_accessible(page: Page) -> None:
    assert violations(page) == []
