"""Training on a real hub, from its page: order, follow, stop, resume, and use what it made."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from apps.inference.engine.tests.tiny import write_tiny_model
from apps.training.trainer.tests.runs import rows, write_rows
from tests.hub_process import HubProcess, running_hub


@pytest.fixture(scope="module")
def hub() -> Iterator[HubProcess]:
    """A hub whose only model is a tiny one, which trains in seconds."""
    with running_hub({"MLXHUB_STARTER": "false"}) as running:
        folder = write_tiny_model(running.home / "tiny", scale=1)
        command = (Path(sys.executable).with_name("mlx-hub"), "import", folder, "--name", "tiny")
        subprocess.run(command, env=running.environment, check=True, capture_output=True)
        yield running


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("numbers")
    write_rows(folder / "train.jsonl", rows(40))
    write_rows(folder / "valid.jsonl", rows(8, first=50))
    return folder


def order(page: Page, hub: HubProcess, data: Path, name: str, **fields: str) -> None:
    """Fill in the form and start; ``fields`` by their names in it."""
    page.goto(f"{hub.url}/training/new/")
    page.get_by_text("Everything else").click()
    for field, value in {"folder": str(data), "name": name, **fields}.items():
        page.locator(f"#order [name={field}]").fill(value)
    expect(page.locator("#preflight")).to_contain_text("fine_tune_type: lora")
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def assert_accessible(page: Page) -> None:
    violations = Axe().run(page).response["violations"]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in violations] == []


def answer(hub: HubProcess, model: str) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Number 3?"}]}
    url = f"{hub.url}/v1/chat/completions"
    return httpx.post(url, json=body | {"max_tokens": 12, "temperature": 0}, timeout=60)


def test_an_adapter_is_ordered_watched_stopped_resumed_and_used(
    page: Page, hub: HubProcess, data: Path
) -> None:
    order(page, hub, data, "Numbers", iters="3000", steps_per_report="20", steps_per_eval="200",
          steps_per_save="100", learning_rate="0.003", prompts="Number 3?")  # fmt: skip
    drawn = page.locator('[data-chart="loss"] canvas')
    expect(drawn).to_be_visible()
    before = drawn.evaluate("canvas => canvas.toDataURL()")
    page.wait_for_function(
        "before => document.querySelector('[data-chart=loss] canvas')?.toDataURL() !== before",
        arg=before,
    )
    page.get_by_role("button", name="Stop and save").click()
    expect(page.get_by_text("Paused", exact=True)).to_be_visible()
    assert answer(hub, "tiny:numbers").status_code == 200

    page.reload()
    expect(drawn).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Done", exact=True)).to_be_visible()
    expect(page.locator("#learnt")).to_contain_text("Step 3,000")
    assert_accessible(page)

    base, adapted = answer(hub, "tiny"), answer(hub, "tiny:numbers")
    assert base.status_code == adapted.status_code == 200
    said = [one.json()["choices"][0]["message"]["content"] for one in (base, adapted)]
    assert said[0] != said[1]
    page.get_by_role("link", name="Compare in the playground").click()
    expect(page).to_have_url(re.compile(r"model=tiny(:|%3A)numbers"))


def test_how_curves_are_drawn_is_in_the_address(page: Page, hub: HubProcess, data: Path) -> None:
    order(page, hub, data, "Short", iters="20")
    expect(page.get_by_text("Done", exact=True)).to_be_visible()
    page.get_by_label("Smoothing").fill("0.7")
    page.get_by_label("Log scale").check()
    page.get_by_label("Axis").select_option("time")
    expect(page).to_have_url(re.compile(r"smoothing=0\.7&log=1&axis=time"))
    page.reload()
    expect(page.locator("output")).to_have_text("0.70")
    expect(page.get_by_label("Log scale")).to_be_checked()
    expect(page.locator(".u-legend").first).to_contain_text("Time")


def test_a_job_that_can_not_work_is_not_queued(page: Page, hub: HubProcess, data: Path) -> None:
    page.goto(f"{hub.url}/training/new/")
    page.get_by_label("Data", exact=True).fill(str(data))
    page.get_by_label("Name", exact=True).fill("Too deep")
    page.get_by_label("Layers").fill("9")
    expect(page.get_by_text("tiny has 2 layers, and 9 are to be trained.")).to_be_visible()
    page.get_by_role("button", name="Use safer settings").click()
    expect(page.get_by_label("Layers")).to_have_value("-1")
    expect(page.get_by_text("It would not work")).to_have_count(0)


def test_the_form_works_without_javascript(
    browser, browser_context_args: dict, hub: HubProcess, data: Path
) -> None:
    with browser.new_context(**browser_context_args, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{hub.url}/training/new/")
        page.get_by_label("Data", exact=True).fill(str(data))
        page.get_by_label("Name", exact=True).fill("Plain")
        page.get_by_label("Steps", exact=True).fill("10")
        page.get_by_role("button", name="Examine").last.click()
        expect(page.locator("#preflight")).to_contain_text("about 0%")
        page.get_by_role("button", name="Start training").click()
        expect(page.get_by_role("heading", name="Plain")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_are_accessible_and_fit(
    page: Page, hub: HubProcess, data: Path, theme: str, width: int
) -> None:
    if not httpx.get(f"{hub.url}/api/training/jobs").json()["total"]:
        order(page, hub, data, "Any", iters="20")
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 900})
    for path in ("/", "/new/", "/new/?clone=1", "/1/"):
        page.goto(f"{hub.url}/training{path}")
        assert_accessible(page)
        assert not page.evaluate("content.scrollWidth > content.clientWidth")
