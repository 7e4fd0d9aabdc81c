"""Training on a real hub, from its page: order, follow, stop, resume, and use what it made."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from apps.inference.engine.tests.tiny import write_tiny_model
from apps.training.trainer.tests.runs import rows, write_rows
from tests.e2e.conftest import PATIENCE_MS
from tests.e2e.looking import assert_accessible
from tests.hub_process import PATIENCE, HubProcess, running_hub


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


def choose_folder(page: Page, data: Path) -> None:
    """In the form of an order: rows that lie on the hub's machine."""
    page.get_by_label("Data", exact=True).select_option(label="A folder, or an older version…")
    page.get_by_label("Folder or version").fill(str(data))


def order(page: Page, hub: HubProcess, data: Path | None, name: str, **fields: str) -> None:
    """Fill in the form and start; ``data`` None: as the page has it. ``fields`` by their names."""
    if data is not None:
        page.goto(f"{hub.url}/training/new/")
        choose_folder(page, data)
    page.get_by_text("Everything else").click()
    for field, value in {"name": name, **fields}.items():
        page.locator(f"#order [name={field}]").fill(value)
    expect(page.locator("#preflight")).to_contain_text("fine_tune_type: lora")
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def answer(hub: HubProcess, model: str) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Number 3?"}]}
    url = f"{hub.url}/v1/chat/completions"
    return httpx.post(url, json=body | {"max_tokens": 12, "temperature": 0}, timeout=60)


def make_dataset(page: Page, hub: HubProcess) -> None:
    """Paste rows into Data and split them; the page that is open then is the dataset's."""
    page.goto(f"{hub.url}/data/import/")
    lines = "\n".join(json.dumps(row) for row in rows(48))
    page.get_by_label("Rows", exact=True).fill(lines)
    page.get_by_role("textbox", name="Name", exact=True).fill("Counting")
    page.get_by_role("button", name="Import").last.click()
    expect(page.get_by_role("heading", name="48 rows")).to_be_visible()
    page.get_by_role("button", name="Split", exact=True).click()
    expect(page.locator(".data-side .facts")).to_contain_text(re.compile(r"Validation\s*[1-9]"))


def test_an_adapter_is_made_of_a_dataset_watched_stopped_resumed_and_used(
    page: Page, hub: HubProcess
) -> None:
    make_dataset(page, hub)
    page.get_by_role("link", name="Train on this").click()
    expect(page.get_by_label("Data", exact=True)).to_have_value("counting")
    order(page, hub, None, "Numbers", iters="3000", steps_per_report="20", steps_per_eval="200",
          steps_per_save="100", learning_rate="0.003", prompts="Number 3?")  # fmt: skip
    drawn = page.locator('[data-chart="loss"] canvas')
    # The trainer reads MLX and its libraries first: on a busy machine that is a minute.
    expect(drawn).to_be_visible(timeout=3 * PATIENCE_MS)
    before = drawn.evaluate("canvas => canvas.toDataURL()")
    page.wait_for_function(
        "before => document.querySelector('[data-chart=loss] canvas')?.toDataURL() !== before",
        arg=before,
    )
    page.get_by_role("button", name="Stop and save").click()
    expect(page.get_by_text("Stopped", exact=True)).to_be_visible()
    assert answer(hub, "tiny:numbers").status_code == 200

    page.reload()
    expect(drawn).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Done", exact=True)).to_be_visible(timeout=3 * PATIENCE_MS)
    expect(page.locator("#learnt")).to_contain_text("Step 3,000")
    assert_accessible(page)

    base, adapted = answer(hub, "tiny"), answer(hub, "tiny:numbers")
    assert base.status_code == adapted.status_code == 200
    said = [one.json()["choices"][0]["message"]["content"] for one in (base, adapted)]
    assert said[0] != said[1]
    page.get_by_role("link", name="Compare in the playground").click()
    expect(page).to_have_url(re.compile(r"models=tiny,tiny:numbers"))


def test_a_run_is_paused_and_jobs_that_wait_are_put_in_order(
    page: Page, hub: HubProcess, data: Path
) -> None:
    order(page, hub, data, "Long", iters="200000", steps_per_report="100")
    expect(page.locator("#status-job")).to_contain_text("Long")
    for name in ("Second", "Third"):
        order(page, hub, data, name, iters="20")
    expect(page.get_by_text("2 of 2 in the queue")).to_be_visible()
    page.get_by_role("link", name="queue", exact=True).click()
    waiting = page.locator(".queue__item")
    expect(waiting).to_have_count(2)
    up = page.get_by_role("button", name=re.compile("Move .*Third up"))
    up.focus()
    page.keyboard.press("Enter")
    expect(waiting.first).to_contain_text("Third")
    assert_accessible(page)

    page.locator("#queue .job-progress").get_by_role("link").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused", exact=True)).to_be_visible()
    page.goto(f"{hub.url}/training/")
    for name in ("Second", "Third"):
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))
        expect(row).to_contain_text("Done")


def test_a_step_is_timed_on_demand(page: Page, hub: HubProcess, data: Path) -> None:
    page.goto(f"{hub.url}/training/new/")
    choose_folder(page, data)
    page.get_by_label("Batch size", exact=True).fill("3")
    page.get_by_role("button", name="Time a step").click()
    expect(page.locator("#preflight")).to_contain_text("a step of this shape was timed")
    expect(page.locator("#preflight")).to_contain_text("Memory seen")


def test_several_values_are_tried_and_compared(page: Page, hub: HubProcess, data: Path) -> None:
    page.goto(f"{hub.url}/training/new/")
    page.get_by_text("Try several values").click()
    choose_folder(page, data)
    fields = {"name": "Sweep", "iters": "20", "sweep-learning_rate": "1e-3, 1e-6"}
    for field, value in fields.items():
        page.locator(f"#order [name={field}]").fill(value)
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_role("heading", name="Sweep")).to_be_visible()
    expect(page.get_by_text("2 of 2 runs over")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="Best").last).to_contain_text("0.001")
    assert_accessible(page)
    page.get_by_role("link", name="Curves of all runs").click()
    expect(page).to_have_url(re.compile(r"/training/compare/?\?jobs="))


def made_on(hub: HubProcess) -> list[dict[str, Any]]:
    """The jobs that made an adapter."""
    answer = httpx.get(f"{hub.url}/api/training/jobs", timeout=PATIENCE)
    return [job for job in answer.json()["jobs"] if job["made"]]


@pytest.fixture
def adapters(page: Page, hub: HubProcess, data: Path) -> list[str]:
    """Names of two adapters over the tiny model."""
    for number in range(2 - len(made_on(hub))):
        order(page, hub, data, f"More {number}", iters="20")
        expect(page.get_by_text("Done", exact=True)).to_be_visible()
    return [job["made"] for job in made_on(hub)][:2]


@pytest.mark.usefixtures("adapters")
def test_how_curves_are_drawn_is_in_the_address(page: Page, hub: HubProcess) -> None:
    page.goto(f"{hub.url}/training/{made_on(hub)[0]['id']}/")
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
    choose_folder(page, data)
    page.get_by_label("Name", exact=True).fill("Too deep")
    page.get_by_label("Layers", exact=True).fill("9")
    expect(page.get_by_text("tiny has 2 layers, and 9 are to be trained.")).to_be_visible()
    page.get_by_role("button", name="Use safer settings").click()
    expect(page.get_by_label("Layers", exact=True)).to_have_value("-1")
    expect(page.get_by_text("It would not work")).to_have_count(0)


def test_the_form_works_without_javascript(
    browser, browser_context_args: dict, hub: HubProcess, data: Path
) -> None:
    with browser.new_context(**browser_context_args, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{hub.url}/training/new/")
        choose_folder(page, data)
        beta = page.get_by_label("Beta", exact=True)
        expect(beta).to_be_hidden()
        page.get_by_label("Objective").select_option("dpo")
        expect(beta).to_be_visible()
        page.get_by_label("Objective").select_option("sft")
        page.get_by_label("Name", exact=True).fill("Plain")
        page.get_by_label("Steps", exact=True).fill("10")
        page.get_by_role("button", name="Examine").last.click()
        expect(page.locator("#preflight")).to_contain_text("about 0%")
        page.get_by_role("button", name="Start training").click()
        expect(page.get_by_role("heading", name="Plain")).to_be_visible()


def test_base_and_adapter_answer_side_by_side_and_one_is_better(
    page: Page, hub: HubProcess, adapters: list[str]
) -> None:
    page.goto(f"{hub.url}/compare/?models=tiny,{adapters[0]}")
    for column in (0, 1):
        page.get_by_text("Settings", exact=False).nth(column).click()
        page.locator(f"[name=c{column}-max_tokens]").fill("12")
        page.locator(f"[name=c{column}-seed]").fill("7")
    page.get_by_role("textbox", name="Message").fill("Number 3?")
    page.get_by_role("button", name="Send").click()
    votes = page.get_by_role("button", name="This is better")
    votes.last.click()
    expect(page.locator(".compare__answer--better")).to_have_count(1)
    page.get_by_role("textbox", name="Message").fill("Number 4?")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".compare__round")).to_have_count(2)
    expect(page.get_by_text("It goes on from the answer of")).to_be_visible()
    expect(page.locator("[data-follow]")).to_have_count(0)
    assert_accessible(page)
    page.reload()
    expect(page.locator(".compare__answer")).to_have_count(4)
    expect(page.locator("[name=c1-seed]")).to_have_value("7")


def test_base_and_adapters_are_evaluated_in_one_table(
    page: Page, hub: HubProcess, adapters: list[str]
) -> None:
    page.goto(f"{hub.url}/evaluations/new/?subject={adapters[0]}")
    expect(page.get_by_label("tiny", exact=True)).to_be_checked()
    page.get_by_label("Longest answer, tokens").fill("8")
    page.get_by_label("More prompts, one a line").fill("Number 3?\nNumber 4?")
    page.get_by_role("button", name="Start evaluation").click()
    expect(page.get_by_text("Done", exact=True)).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(2)
    expect(page.get_by_role("table")).to_contain_text(adapters[0])
