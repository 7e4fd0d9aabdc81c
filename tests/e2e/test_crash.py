"""The engine dies in the middle of an answer; nothing is lost and everything comes back."""

from __future__ import annotations

import os
import re
import signal

from playwright.sync_api import expect

from tests.e2e.test_browser import last_answer, live, open_playground, send
from tests.hub_process import until


def test_a_killed_engine_is_explained_and_back_within_seconds(page, own_hub):
    open_playground(page, own_hub)
    send(page, "Write a very long story about a lighthouse, its keeper and the sea.")
    expect(live(page)).to_have_text(re.compile(r"\w+ \w+ \w+"))
    shown = live(page).inner_text()
    killed = own_hub.engine_status().pid
    os.kill(killed, signal.SIGKILL)

    expect(last_answer(page)).to_contain_text("The answer was cut short")
    expect(last_answer(page).get_by_role("button", name="Retry")).to_be_visible()
    expect(last_answer(page).locator(".prose")).to_contain_text(shown[:30])

    def back():
        status = own_hub.engine_status()
        return status is not None and status.pid != killed

    until(back)
    page.get_by_label("Max tokens").fill("20")
    send(page, "Say hello.")
    expect(last_answer(page).locator(".turn__metrics")).to_contain_text("out")
    page.reload()
    expect(page.locator(".turn--assistant").first).to_contain_text(shown[:30])
