"""The whole chat by keyboard alone: after every step focus is where one goes on."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

COMPOSER = "#composer-content"
MOST_STEPS = 120
"""Stops of the Tab key between any two places of the page."""


def tab_to(page: Page, selector: str, *, key: str = "Shift+Tab") -> None:
    """Press ``key`` until what ``selector`` names has focus."""
    for _ in range(MOST_STEPS):
        page.keyboard.press(key)
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
    raise AssertionError(f"{selector} can't be reached with {key}.")


def goes_on_in(page: Page, selector: str) -> None:
    expect(page.locator(selector)).to_be_focused()


def answer_is_over(page: Page) -> None:
    expect(page.locator("[data-follow]")).to_have_count(0)
    expect(page.locator("[data-send]")).to_be_visible()
    expect(page.locator(".turn--assistant .turn__metrics").last).to_contain_text("cached")


def test_a_whole_chat_needs_no_mouse(page: Page, hub) -> None:
    page.goto(f"{hub.url}/models/")

    page.keyboard.press("Control+k")
    goes_on_in(page, "#palette-words")
    page.keyboard.type("new chat")
    page.keyboard.press("Enter")
    page.wait_for_url("**/playground/")
    goes_on_in(page, COMPOSER)

    tab_to(page, "#id_model", key="Tab")
    page.keyboard.type("SmolLM2")
    expect(page.locator("#id_model option:checked")).to_contain_text("SmolLM2")
    tab_to(page, "#id_max_tokens", key="Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("8")
    tab_to(page, COMPOSER)
    page.keyboard.type("Tell me about Paris.")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/playground/c/**")
    answer_is_over(page)
    goes_on_in(page, COMPOSER)

    tab_to(page, "[id^=continue-]")
    page.keyboard.press("Enter")
    expect(page.locator(".turn--assistant .turn__metrics")).to_contain_text("16 out")
    answer_is_over(page)
    goes_on_in(page, COMPOSER)

    tab_to(page, "[id^=good-]")
    page.keyboard.press("Space")
    expect(page.locator("[id^=good-]")).to_have_attribute("aria-pressed", "true")
    goes_on_in(page, "[id^=good-]")

    tab_to(page, "a[id^=edit-]")
    page.keyboard.press("Enter")
    goes_on_in(page, "#edit-content")
    page.keyboard.press("Escape")
    goes_on_in(page, "a[id^=edit-]")
    page.keyboard.press("Enter")
    goes_on_in(page, "#edit-content")
    page.keyboard.press("Control+a")
    page.keyboard.type("Tell me about Rome.")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".turn--user .versions")).to_contain_text("2/2")
    answer_is_over(page)
    goes_on_in(page, COMPOSER)

    tab_to(page, ".turn--user [id^=previous-]")
    page.keyboard.press("Enter")
    expect(page.locator(".turn--user .versions")).to_contain_text("1/2")
    goes_on_in(page, ".turn--user [id^=next-]")
    page.keyboard.press("Enter")
    expect(page.locator(".turn--user .turn__said")).to_have_text("Tell me about Rome.")

    tab_to(page, "[id^=again-]", key="Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".turn--assistant .versions")).to_contain_text("2/2")
    answer_is_over(page)
    goes_on_in(page, COMPOSER)

    tab_to(page, "#id_max_tokens", key="Tab")
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    tab_to(page, COMPOSER)
    page.keyboard.type("Write a very long story.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-live]")).to_have_text(re.compile(r"\w+ \w+"))
    page.keyboard.press("Escape")
    expect(page.locator(".turn__metrics").last).to_contain_text("Stopped")
    goes_on_in(page, COMPOSER)

    tab_to(page, ".turn--assistant [id^=delete-]")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Keep", exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".turn--assistant")).to_have_count(1)
    goes_on_in(page, COMPOSER)

    page.keyboard.press("Shift+Tab")
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#shortcuts")).to_be_hidden()
