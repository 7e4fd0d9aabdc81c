"""The pages of accounts and the audit log in a browser, by keyboard."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.hub_process import HubProcess


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
