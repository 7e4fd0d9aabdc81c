"""The Keys and Usage pages in a browser: make a key, use it, see what it used, revoke it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.fake_engine import FakeEngine
from tests.web_workers import WebWorkers, web_workers

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(scope="module")
def workers() -> Iterator[WebWorkers]:
    limits = {"requests_per_minute": 60, "tokens_per_minute": 90_000, "concurrency": 4}
    with (
        FakeEngine() as engine,
        web_workers(engine.home, count=1, keys={"Ada's editor": limits}) as workers,
    ):
        for _ in range(3):
            ask(workers, workers.keys["Ada's editor"])
        ask(workers, "")
        ask(workers, "", model="nonsense")
        yield workers


def ask(workers: WebWorkers, key: str, **changes: str) -> int:
    headers = {"x-api-key": key} if key else {}
    url = f"{workers.urls[0]}/v1/chat/completions"
    return httpx.post(url, json=CHAT | changes, headers=headers, timeout=60).status_code


def test_a_key_is_made_used_and_revoked(page: Page, workers: WebWorkers):
    page.goto(f"{workers.urls[0]}/keys/")
    page.get_by_label("Name").fill("Grace")
    page.get_by_text("Limits", exact=True).last.click()
    page.get_by_label("Requests per minute").fill("1")
    page.get_by_role("button", name="Make key").click()
    expect(page.get_by_role("heading", name="The key “Grace”")).to_be_visible()
    expect(page.get_by_role("button", name="Copy API key")).to_be_visible()
    key = page.locator("#made-key").inner_text()
    assert [ask(workers, key) for _ in range(2)] == [200, 429]

    page.goto(f"{workers.urls[0]}/keys/")
    assert key not in page.content()
    page.get_by_role("link", name="Usage of Grace").click()
    expect(page.get_by_text("rate_limit_exceeded")).to_be_visible()
    expect(page.get_by_label("Key", exact=True)).to_have_value(key.split("_")[1])

    page.goto(f"{workers.urls[0]}/keys/")
    page.get_by_text("Revoke… Grace").click()
    page.get_by_role("button", name="Revoke Grace").click()
    expect(page.get_by_text("Grace is revoked.").first).to_be_visible()
    assert ask(workers, key) == 401


def test_usage_is_drawn_filtered_and_exported(page: Page, workers: WebWorkers):
    page.goto(f"{workers.urls[0]}/system/")
    page.keyboard.press("g")
    page.keyboard.press("u")
    expect(page.get_by_role("heading", name="Requests")).to_be_visible()
    expect(page.locator(".history__plot canvas")).to_be_visible()
    page.get_by_label("Outcome").select_option(label="Refused (4xx)")
    page.get_by_label("Chart").select_option(label="Requests")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("model_not_found")).to_be_visible()
    expect(page.locator("figcaption")).to_contain_text("Requests")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename == "usage.csv"
