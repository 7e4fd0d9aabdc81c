"""The System pages in a browser, while the hub is at work."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.looking import assert_accessible
from tests.hub_process import PATIENCE, STARTER, HubProcess, until

CHAT = {
    "model": STARTER,
    "messages": [{"role": "user", "content": "Tell me a story about the sea."}],
    "max_tokens": 24,
}


@pytest.fixture
def load(hub: HubProcess) -> Iterator[threading.Event]:
    """Three clients that ask for one answer after another until the event is set."""
    over = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=hub.url, timeout=120) as client:
            while not over.is_set():
                client.post(
                    "/v1/chat/completions",
                    json=CHAT,
                    headers={"X-Request-ID": "load-1"},
                ).raise_for_status()

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    yield over
    over.set()
    for client in clients:
        client.join()


def test_the_system_page_shows_a_load_while_it_runs(
    page: Page, hub: HubProcess, load: threading.Event
) -> None:
    page.goto(f"{hub.url}/system/")
    expect(page.locator("#engine")).to_contain_text("Busy")
    expect(page.locator(".memory__legend")).to_contain_text("Weights")

    def drawn() -> set[str]:
        charts = httpx.get(f"{hub.url}/system/history/", timeout=60).json()["charts"]
        return {line["label"] for chart in charts.values() for line in chart["lines"]}

    until(lambda: {"Engine, all answers", "TTFT", "In the batch"} <= drawn(), seconds=300)
    load.set()
    page.goto(f"{hub.url}/system/")
    chart = page.locator("figure", has_text="Tokens per second")
    expect(chart.locator("canvas")).to_be_visible()
    before = page.locator("#history").get_attribute("data-drawn")
    # It goes on by itself.
    expect(page.locator("#history")).not_to_have_attribute("data-drawn", before or "")
    chart.locator("summary").click()
    expect(chart.locator("details td", has_text="Engine, all answers")).to_be_visible()
    assert_accessible(page)


def test_a_request_is_followed_through_the_logs(page: Page, hub: HubProcess) -> None:
    evil = "<img src=x onerror=alert(1)>"
    httpx.get(f"{hub.url}/no/{evil}", headers={"X-Request-ID": "trace-42"}, timeout=PATIENCE)
    page.goto(f"{hub.url}/system/logs/")
    page.get_by_label("Request, job or run").fill("trace-42")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".log-line")).to_have_count(1)
    expect(page.locator(".log-line__text")).to_contain_text(evil)
    assert "id=trace-42" in page.url
