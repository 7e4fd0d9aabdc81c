"""From a chat to a dataset in a real browser: rate, correct, choose, make."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.e2e.looking import assert_accessible
from tests.hub_process import HubProcess

CORRECTED = "The capital of France is Paris, on the Seine."


def asked(hub: HubProcess, page: Page, question: str) -> None:
    """A new chat with one question and its answer."""
    page.goto(f"{hub.url}/playground/")
    page.get_by_label("Max tokens").fill("12")
    page.get_by_role("textbox", name="Message").fill(question)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".turn__metrics")).to_contain_text("out")


def test_a_corrected_answer_becomes_a_preference_pair(hub: HubProcess, page: Page) -> None:
    asked(hub, page, "What is the capital of France?")
    answer = page.locator(".turn--assistant").last

    # By keyboard alone: the thumb, then the pen beside it.
    bad = answer.get_by_role("button", name="Bad answer")
    bad.focus()
    page.keyboard.press("Enter")
    expect(bad).to_have_attribute("aria-pressed", "true")
    expect(bad).to_be_focused()
    assert_accessible(page)
    answer.get_by_role("link", name="Correct the answer").click()
    page.get_by_label("The answer as it should have been").fill(CORRECTED)
    assert_accessible(page)
    page.get_by_role("button", name="Save correction").click()
    expect(answer).to_contain_text(CORRECTED)
    expect(answer).to_contain_text("corrected by you")
    expect(answer).to_contain_text("2/2")

    answer.get_by_role("link", name="Add to a dataset").click()
    expect(page.get_by_role("heading", name="1 row", exact=True)).to_be_visible()
    page.get_by_label("Preference pairs").check()
    expect(page.get_by_role("article", name="Row 1")).to_contain_text(f"chosen{CORRECTED}")
    assert_accessible(page)
    page.get_by_label("Name of the new one").fill("Corrections")
    page.get_by_role("button", name="Make or add").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Corrections")
    expect(page.get_by_text(re.compile("Preference pairs"))).to_be_visible()
    expect(page.get_by_role("cell", name=re.compile(CORRECTED))).to_be_visible()
    with page.expect_download() as taken:
        page.get_by_role("link", name="OpenAI (JSON Lines)").click()
    assert taken.value.suggested_filename.endswith("-openai.zip")
