"""From a search to a chat, or to rows, in a real browser against a hub on the loopback."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from apps.discovery.tests.data_catalogue import lines, pairs
from apps.discovery.tests.hub_search import Catalogue
from apps.discovery.tests.hub_server import HubServer
from apps.inference.engine.tests.tiny import write_tiny_model
from tests.e2e.looking import assert_accessible
from tests.hub_process import HubProcess, running_hub, until

REPO = "acme/Tiny-Llama-4bit"
SLUG = "tiny-llama-4bit"
BYTES_PER_SECOND = 10_000.0
TIDES = "acme/tides"


@pytest.fixture(scope="module")
def hugging_face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """A hub that has one model and one dataset, and takes its time to send them."""
    folder = write_tiny_model(tmp_path_factory.mktemp("tiny") / "model")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    with HubServer(bytes_per_second=BYTES_PER_SECOND, xet=True) as server:
        Catalogue(server).add(
            REPO,
            files | {"README.md": b"---\nlicense: apache-2.0\n---\n# Tiny\n"},
            tags=["mlx", "llama", "license:apache-2.0"],
            library_name="mlx",
            pipeline_tag="text-generation",
            downloads=7,
            likes=1,
        )
        add_tides(server)
        yield server


def add_tides(server: HubServer) -> None:
    """Two configurations; the larger one has three files of four rows to train on."""
    shards = {f"large/train-{at}.jsonl": lines(pairs(4, 4 * at)) for at in range(3)}
    configs = [
        {"config_name": "small", "data_files": "small.jsonl"},
        {
            "config_name": "large",
            "data_files": [
                {"split": "train", "path": "large/train-*"},
                {"split": "test", "path": "large/test.jsonl"},
            ],
        },
    ]
    server.add(
        f"datasets/{TIDES}",
        {"small.jsonl": lines(pairs(1)), "large/test.jsonl": lines(pairs(4, 90)), **shards},
        cardData={"configs": configs},
        downloads=3,
    )


@pytest.fixture(scope="module")
def own_hub(hugging_face: HubServer) -> Iterator[HubProcess]:
    """A hub without any model, that searches there."""
    settings = {
        "MLXHUB_STARTER": "0",
        "HF_ENDPOINT": hugging_face.endpoint,
        "NO_PROXY": "127.0.0.1,localhost",
    }
    with running_hub(settings) as hub:
        yield hub


def test_a_model_is_found_downloaded_loaded_and_talked_to(page: Page, own_hub: HubProcess) -> None:
    page.goto(f"{own_hub.url}/discover/")
    page.get_by_role("searchbox").fill("tiny")
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_role("link", name=REPO).click()

    expect(page.get_by_role("heading", level=1)).to_have_text(REPO)
    page.get_by_role("button", name=re.compile("^Download")).click()

    row = page.get_by_role("region", name=f"Download of {REPO}")
    expect(row).to_contain_text(re.compile(r"\d+ kB of \d+ kB · \d+ kB/s · \d+ s left"))
    expect(page.locator("#status-downloads")).to_contain_text("%")
    row.get_by_role("button", name="Pause").click()
    expect(row).to_contain_text("Paused")
    assert_accessible(page)
    row.get_by_role("button", name="Resume").click()

    ended = page.get_by_role("status").filter(has_text="Done")
    expect(ended).to_be_visible()
    assert (own_hub.home / "models" / SLUG / "model.safetensors").is_file()
    ended.get_by_role("link", name="Tiny-Llama-4bit", exact=True).click()
    expect(page).to_have_url(f"{own_hub.url}/models/{SLUG}/")

    page.get_by_role("button", name=re.compile("^Load")).first.click()
    until(lambda: is_loaded(own_hub))
    page.goto(f"{own_hub.url}/playground/")
    page.get_by_role("textbox", name="Message").fill("Hello")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".turn--assistant").last.locator(".turn__metrics")).to_contain_text("out")


def test_the_first_rows_of_a_split_become_a_dataset(
    page: Page, own_hub: HubProcess, hugging_face: HubServer
) -> None:
    page.goto(f"{own_hub.url}/discover/datasets/")
    page.get_by_role("searchbox").fill("tides")
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_role("link", name=TIDES).click()

    page.get_by_label("Configuration").select_option("large")
    page.get_by_role("button", name="Show").first.click()
    page.get_by_label("test").uncheck()
    page.get_by_label("First rows of each split").fill("6")
    page.get_by_label("Name here").fill("First tides")
    assert_accessible(page)
    page.get_by_role("button", name="Download and import").click()

    ended = page.get_by_role("status").filter(has_text="Done").filter(has_text="First tides")
    ended.get_by_role("link", name="First tides").click()
    expect(page.get_by_text("What is 5?")).to_be_visible()
    expect(page.get_by_text("What is 6?")).to_have_count(0)
    expect(page.get_by_text("first 6 rows").first).to_be_visible()
    assert_accessible(page)
    brought = [name for name in hugging_face.fetched() if name.startswith("train-")]
    assert brought == ["train-0.jsonl", "train-1.jsonl"]


def is_loaded(hub: HubProcess) -> bool:
    status = hub.engine_status()
    return status is not None and [model.name for model in status.models] == [SLUG]
