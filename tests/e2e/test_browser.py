"""A person in front of the hub: real Chromium, real processes, the real starter model."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.e2e.looking import assert_accessible
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
    until(lambda: idle(hub))
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


def test_a_text_file_becomes_part_of_the_message(page, hub):
    open_playground(page, hub)
    box = page.get_by_role("textbox", name="Message")
    box.fill("Count the lines.")
    notes = {"name": "notes.md", "mimeType": "text/markdown", "buffer": b"# One\n```\ntwo\n```"}
    photo = {"name": "photo.png", "mimeType": "image/png", "buffer": b"\x89PNG\x00"}
    page.locator("[data-attach-files]").set_input_files([notes, photo])
    fenced = "notes.md:\n````\n# One\n```\ntwo\n```\n````\n\n"
    expect(box).to_have_value(f"Count the lines.\n\n{fenced}")
    expect(page.get_by_role("alert")).to_contain_text("photo.png is not a text file.")


def test_markup_in_a_message_stays_text(page, hub):
    open_playground(page, hub)
    page.get_by_label("Max tokens").fill("4")
    send(page, "<img src=x onerror=alert(1)> & <script>alert(2)</script>")
    expect(page.locator(".turn--user .turn__said").last).to_have_text(
        "<img src=x onerror=alert(1)> & <script>alert(2)</script>"
    )
    expect(last_answer(page).locator(".turn__metrics")).to_contain_text("out")


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
