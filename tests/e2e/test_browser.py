"""A person in front of the hub: real Chromium, real processes, the real starter model."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.hub_process import until


def open_playground(page: Page, hub) -> None:
    page.goto(f"{hub.url}/playground/")
    page.get_by_role("textbox", name="Message").wait_for()


def send(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="Message").fill(text)
    page.keyboard.press("Control+Enter")


def live(page: Page):
    return page.locator("[data-live]")


def last_answer(page: Page):
    return page.locator(".turn--assistant").last


def idle(hub) -> bool:
    status = hub.engine_status()
    return status is not None and status.active == 0 and status.queued == 0


def assert_accessible(page: Page) -> None:
    violations = Axe().run(page).response["violations"]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in violations] == []


def test_a_question_is_answered(page, hub):
    open_playground(page, hub)
    page.get_by_label("Temperature", exact=True).fill("0")
    send(page, "What is the capital of France?")
    expect(last_answer(page)).to_contain_text("Paris")
    expect(last_answer(page).locator(".turn__metrics")).to_have_text(
        re.compile(r"TTFT [\d.]+ s · [\d.]+ tok/s · \d+ out · \d+/\d+ cached")
    )
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    assert_accessible(page)


def test_stop_frees_the_engine_and_keeps_the_text(page, hub):
    open_playground(page, hub)
    send(page, "Write a very long story about a lighthouse, its keeper and the sea.")
    expect(live(page)).to_have_text(re.compile(r"\w+ \w+"))
    page.get_by_role("button", name="Stop").click()
    until(lambda: idle(hub), seconds=10)
    expect(last_answer(page).locator(".turn__metrics")).to_contain_text("Stopped")
    expect(last_answer(page).locator(".prose")).to_have_text(re.compile(r"\w+ \w+"))
    expect(page.get_by_role("button", name="Send")).to_be_visible()


def test_a_reload_in_mid_answer_goes_on_and_finishes(page, hub):
    open_playground(page, hub)
    page.get_by_label("Max tokens").fill("120")
    send(page, "Write a story about a lighthouse keeper, his dog and a storm.")
    expect(live(page)).to_have_text(re.compile(r"\w+ \w+ \w+"))
    before = live(page).inner_text()
    page.reload()
    expect(last_answer(page)).to_contain_text(before[:40])
    expect(last_answer(page).locator(".turn__metrics")).to_contain_text("out")
    whole = last_answer(page).locator(".prose").inner_text()
    assert len(whole) > len(before)


def test_a_second_tab_sees_the_same_answer(page, hub, context):
    open_playground(page, hub)
    page.get_by_label("Max tokens").fill("60")
    send(page, "Describe a mountain lake in the morning.")
    expect(live(page)).to_have_text(re.compile(r"\w+"))
    other = context.new_page()
    other.goto(page.url)
    for tab in (page, other):
        expect(last_answer(tab).locator(".turn__metrics")).to_contain_text("out")
    assert last_answer(page).inner_text() == last_answer(other).inner_text()
    other.close()


def test_markup_in_a_message_stays_text(page, hub):
    open_playground(page, hub)
    page.get_by_label("Max tokens").fill("4")
    send(page, "<img src=x onerror=alert(1)> & <script>alert(2)</script>")
    expect(page.locator(".turn--user .turn__said").last).to_have_text(
        "<img src=x onerror=alert(1)> & <script>alert(2)</script>"
    )
    expect(last_answer(page).locator(".turn__metrics")).to_contain_text("out")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("path", ["/playground/", "/models/", "/system/"])
def test_every_page_is_accessible_in_both_themes(page, hub, path, width, theme):
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{hub.url}{path}")
    assert_accessible(page)
    overflow = page.evaluate(
        "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )
    assert not overflow


def test_a_model_is_unloaded_and_loaded_from_its_page(page, hub):
    page.goto(f"{hub.url}/models/")
    row = page.get_by_role("row", name=re.compile("SmolLM2"))
    if row.get_by_role("button", name=re.compile("Load")).count():
        row.get_by_role("button", name=re.compile("^Load")).click()
    row.get_by_role("button", name=re.compile("^Unload")).click()
    until(lambda: not hub.engine_status().models)
    row.get_by_role("button", name=re.compile("^Load")).click()
    until(lambda: hub.engine_status().models)
    expect(row.get_by_role("button", name=re.compile("^Unload"))).to_be_visible()
