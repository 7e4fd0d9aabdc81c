"""The pages of accounts and the audit log in a browser: keyboard, both themes, wide and narrow."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.hub_process import HubProcess


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_are_accessible_and_fit(page: Page, hub: HubProcess, theme, width):
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 900})
    for path in ("/users/", "/account/", "/audit/", "/audit/?q=nothing-like-it", "/sign-in/"):
        page.goto(hub.url + path)
        for summary in page.locator("main summary").all():
            summary.click()
        violations = Axe().run(page).response["violations"]
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in violations] == [], path
        assert not page.evaluate(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        ), path


def test_somebody_is_invited_by_keyboard_and_stands_in_the_log(page: Page, hub: HubProcess):
    page.goto(f"{hub.url}/system/")
    page.keyboard.press("g")
    page.keyboard.press("w")
    page.get_by_label("Name").fill("grace")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="A link for grace")).to_be_visible()
    assert "/join/" in page.locator("#invitation-link").inner_text()

    page.goto(f"{hub.url}/users/")
    assert "/join/" not in page.content()
    page.get_by_role("button", name="Switch off grace").click()
    expect(page.get_by_text("The account grace is off.").first).to_be_visible()

    page.goto(f"{hub.url}/audit/?q=grace")
    expect(page.get_by_text("user.disable")).to_be_visible()
    expect(page.get_by_text("owner, at this machine").first).to_be_visible()
