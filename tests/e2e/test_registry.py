"""A model from a path to its deletion, in a real browser against a real hub."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from apps.inference.engine.tests.tiny import write_tiny_model
from tests.e2e.looking import assert_accessible
from tests.hub_process import HubProcess, running_hub

NAME = "Garden Llama"
SLUG = "garden-llama"


@pytest.fixture
def own_hub() -> Iterator[HubProcess]:
    """A hub without any model."""
    with running_hub({"MLXHUB_STARTER": "0"}) as hub:
        yield hub


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "model")


def test_a_model_is_imported_converted_verified_and_deleted(
    page: Page, own_hub: HubProcess, folder: Path
) -> None:
    page.goto(f"{own_hub.url}/models/")
    expect(page.get_by_role("link", name="Find a model")).to_be_visible()
    page.get_by_role("link", name="Import").click()
    import_by_path(page, folder / "nothing")
    expect(page.get_by_role("alert")).to_contain_text("There is nothing at")
    import_by_path(page, folder)
    page.get_by_role("region", name="Imports").get_by_role("link", name=NAME, exact=True).click()

    expect(page.get_by_role("heading", level=2)).to_have_text(NAME)
    expect(page.locator("#api-name")).to_have_text(SLUG)
    assert_accessible(page)
    page.get_by_role("link", name="Convert…").click()
    page.get_by_label("Quantisation").select_option("8")
    page.get_by_label("Group size").select_option("32")
    page.get_by_label("Name of the new model").fill(f"{NAME} 8-bit")
    page.get_by_role("checkbox", name="Compare with the original").uncheck()
    page.get_by_role("button", name="Start").click()
    page.locator(".work-head").get_by_role("link", name=f"{NAME} 8-bit").click()

    expect(page.get_by_role("heading", level=2)).to_have_text(f"{NAME} 8-bit")
    expect(page.get_by_role("region", name="Lineage")).to_contain_text(NAME)
    page.get_by_role("button", name="Verify").click()
    expect(page.locator("#job")).to_contain_text("files are what was registered")
    assert_accessible(page)

    copy = own_hub.home / "models" / f"{SLUG}-8-bit"
    assert copy.is_dir()
    delete(page, own_hub, f"{SLUG}-8-bit")
    assert not copy.exists()
    delete(page, own_hub, SLUG)
    expect(page.get_by_role("link", name="Find a model")).to_be_visible()
    assert (folder / "model.safetensors").is_file(), "it was imported where it lies"


def import_by_path(page: Page, path: Path) -> None:
    page.get_by_role("textbox", name="Path").fill(str(path))
    page.get_by_role("textbox", name="Name here").fill(NAME)
    page.get_by_role("button", name="Import", exact=True).click()


def delete(page: Page, hub: HubProcess, slug: str) -> None:
    page.goto(f"{hub.url}/models/{slug}/")
    page.get_by_role("link", name="Delete…").click()
    page.get_by_role("button", name=re.compile("^Delete")).click()
    expect(page).to_have_url(f"{hub.url}/models/")
