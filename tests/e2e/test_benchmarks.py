"""Benchmarks of a real hub: from the page, from the terminal, over REST."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

from tests.e2e.looking import assert_accessible
from tests.hub_process import PATIENCE, STARTER, until

SHORT = {"model": STARTER, "rounds": 1, "clients": [1, 2], "system_tokens": 120, "decode_tokens": 8}


def told(hub, run: int | str = "") -> dict:
    """Of one run, or of them all."""
    url = f"{hub.url}/api/benchmarks/{run}".rstrip("/")
    return httpx.get(url, timeout=PATIENCE).raise_for_status().json()


def run_over_rest(hub, **changes: object) -> dict:
    order = SHORT | changes
    started = httpx.post(f"{hub.url}/api/benchmarks", json=order, timeout=PATIENCE).json()
    return until(lambda: (run := told(hub, started["id"]))["finished_at"] and run, seconds=300)


def test_a_run_measures_what_the_prompt_cache_gives(hub):
    run = run_over_rest(hub)

    assert run["state"] == "done", run["error"]
    turns = {each["turn"]: each for each in run["figures"]["first_token"]}
    assert turns["cold"]["cached_tokens"] < 20
    assert turns["warm"]["cached_tokens"] > 100
    assert turns["warm"]["seconds"]["median"] < turns["cold"]["seconds"]["median"]
    assert [each["clients"] for each in run["figures"]["throughput"]] == [1, 2]
    assert run["peak_memory_bytes"] > 100_000_000
    assert run["machine"]["mlx"]


def test_the_hub_measures_another_server_over_its_address(hub):
    run = run_over_rest(hub, base_url=hub.url)
    assert run["state"] == "done", run["error"]
    assert run["peak_memory_bytes"] is None


def test_a_server_that_is_not_there_makes_a_failed_run_that_says_so(hub):
    run = run_over_rest(hub, base_url="http://127.0.0.1:9/v1")
    assert run["state"] == "failed"
    assert "Nothing answers at http://127.0.0.1:9/v1" in run["error"]


def test_the_terminal_prints_the_figures_and_keeps_the_run(hub, tmp_path: Path):
    written = tmp_path / "run.json"
    result = subprocess.run(
        [
            *(Path(sys.executable).with_name("mlx-hub"), "bench", "--quick"),
            *("--clients", "1", "--json", written),
        ],
        env=os.environ | {"MLXHUB_HOME": str(hub.home)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert "TTFT, exact repeat" in result.stdout
    key = json.loads(written.read_text())["id"]
    assert told(hub, key)["state"] == "done"


def start_on_page(page: Page, hub, **lengths: str) -> None:
    page.goto(f"{hub.url}/benchmarks/")
    page.get_by_text("Lengths").click()
    for label, value in lengths.items():
        page.get_by_label(label.replace("_", " ")).fill(value)
    page.get_by_role("button", name="Start benchmark").click()


def test_a_run_is_started_followed_and_read_on_its_page(page, hub):
    start_on_page(page, hub, Rounds="1", Clients_at_once="1", Answer="8")
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Done", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Time to first token")).to_be_visible()
    expect(page.get_by_text("target 50.0 ms").first).to_be_visible()
    assert_accessible(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Export JSON").click()
    assert json.loads(Path(download.value.path()).read_text())["benchmarks"][0]["figures"]


def test_a_run_is_cancelled_and_deleted_on_its_page(page, hub):
    start_on_page(page, hub, Rounds="20", Answer="400")
    expect(page.get_by_text(re.compile(r"round \d+ of 20"))).to_be_visible()
    page.get_by_role("button", name=re.compile("Cancel benchmark")).click()
    expect(page.get_by_text("Cancelled", exact=True)).to_be_visible()
    until(lambda: hub.engine_status().active == 0)
    page.get_by_text("Delete…").click()
    page.get_by_role("button", name=re.compile("Delete benchmark")).click()
    expect(page.get_by_text(re.compile(r"Benchmark \d+ is deleted"))).to_be_visible()


def test_another_servers_fields_show_only_when_it_is_chosen(page, hub):
    page.goto(f"{hub.url}/benchmarks/")
    expect(page.get_by_label("Base URL")).to_be_hidden()
    page.get_by_label("Another server").check()
    expect(page.get_by_label("Base URL")).to_be_visible()
    expect(page.get_by_text("--api-key-env")).to_be_visible()


def test_the_history_is_drawn_and_its_keys_lead_there(page, hub):
    if not any(run["state"] == "done" for run in told(hub)["benchmarks"]):
        run_over_rest(hub)
    page.goto(f"{hub.url}/system/")
    page.keyboard.press("g")
    page.keyboard.press("b")
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    expect(page.locator(".history__plot canvas")).to_be_visible()
    page.get_by_label("Figure").select_option(label="Tokens per second, 1 client")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("figcaption")).to_contain_text("Tokens per second, 1 client")
    page.get_by_text("Table", exact=True).click()
    expect(page.get_by_role("table", name=re.compile("Tokens per second"))).to_be_visible()
