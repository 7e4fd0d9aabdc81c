"""The System pages in a browser, while the hub is at work."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.hub_process import HubProcess, until

PAGES = ("/system/", "/system/?range=month", "/system/health/", "/system/logs/", "/system/alerts/")
CHAT = {"messages": [{"role": "user", "content": "Tell me a story about the sea."}]}


@pytest.fixture
def load(hub: HubProcess) -> Iterator[None]:
    """Three clients that ask for one answer after another."""
    over = threading.Event()
    model = httpx.get(f"{hub.url}/v1/models").json()["data"][0]["id"]

    def ask() -> None:
        with httpx.Client(base_url=hub.url, timeout=120) as client:
            while not over.is_set():
                client.post(
                    "/v1/chat/completions",
                    json=CHAT | {"model": model, "max_tokens": 24},
                    headers={"X-Request-ID": "load-1"},
                ).raise_for_status()

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    yield
    over.set()
    for client in clients:
        client.join()


def test_the_system_page_shows_a_load_while_it_runs(
    page: Page, hub: HubProcess, load: None
) -> None:
    page.goto(f"{hub.url}/system/")
    expect(page.locator("#engine")).to_contain_text("Busy")
    expect(page.locator(".memory__legend")).to_contain_text("Weights")

    def drawn() -> set[str]:
        charts = httpx.get(f"{hub.url}/system/history/", timeout=60).json()["charts"]
        return {line["label"] for chart in charts.values() for line in chart["lines"]}

    until(lambda: {"Engine, all answers", "TTFT", "In the batch"} <= drawn(), seconds=120)
    page.goto(f"{hub.url}/system/")
    chart = page.locator("figure", has_text="Tokens per second")
    expect(chart.locator("canvas")).to_be_visible()
    before = page.locator("#history").get_attribute("data-drawn")
    # It goes on by itself.
    expect(page.locator("#history")).not_to_have_attribute("data-drawn", before or "")
    chart.locator("summary").click()
    expect(chart.locator("details td", has_text="Engine, all answers")).to_be_visible()
    violations = Axe().run(page).response["violations"]
    assert [(each["id"], [n["html"] for n in each["nodes"]]) for each in violations] == []


def test_a_request_is_followed_through_the_logs(page: Page, hub: HubProcess) -> None:
    evil = "<img src=x onerror=alert(1)>"
    httpx.get(f"{hub.url}/no/{evil}", headers={"X-Request-ID": "trace-42"})
    page.goto(f"{hub.url}/system/logs/")
    page.get_by_label("Request, job or run").fill("trace-42")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".log-line")).to_have_count(1)
    expect(page.locator(".log-line__text")).to_contain_text(evil)
    assert "id=trace-42" in page.url


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_are_accessible_and_fit(page: Page, hub: HubProcess, theme: str) -> None:
    page.emulate_media(color_scheme=theme)
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for path in PAGES:
            page.goto(hub.url + path)
            violations = Axe().run(page).response["violations"]
            assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in violations] == [], path
            assert not page.evaluate("content.scrollWidth > content.clientWidth"), path
