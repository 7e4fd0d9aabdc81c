"""/api/discovery: the same as the pages, for programs."""

from __future__ import annotations

import pytest

from apps.discovery.tests.catalogue import BASE, EIGHT_BITS, FOUR_BITS, OTHER
from apps.discovery.tests.hub_search import Catalogue
from apps.inference.tests.conftest import Caller

pytestmark = pytest.mark.django_db

SEARCH = "/api/discovery/search"


def test_finds_models(call: Caller, catalogue: Catalogue) -> None:
    answer = call("GET", SEARCH).json
    assert [each["repo_id"] for each in answer["models"]] == [FOUR_BITS, EIGHT_BITS, OTHER]
    first = answer["models"][0]
    assert first["parameters"] == 1_000_000_000
    assert first["quantization"] == "4-bit"
    assert first["base_models"] == [BASE]
    assert answer["cursor"] == answer["problem"] == ""


def test_filters_and_turns_pages(call: Caller, catalogue: Catalogue) -> None:
    found = call("GET", f"{SEARCH}?max_bytes=600000000&sort=likes").json
    assert [each["repo_id"] for each in found["models"]] == [FOUR_BITS]
    assert found["looked_at"] == 3

    for number in range(40):
        catalogue.add(f"many/Model-{number:02}", tags=["mlx"], likes=number)
    first = call("GET", f"{SEARCH}?q=many&sort=likes").json
    second = call("GET", f"{SEARCH}?q=many&sort=likes&cursor={first['cursor']}").json
    assert (len(first["models"]), len(second["models"])) == (30, 10)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("sort=odd", "sort"),
        ("min_parameters=-1", "min_parameters"),
        ("license=a%20b", "license"),
        ("base_model=../x", "base_model"),
    ],
)
def test_a_filter_that_makes_no_sense_is_a_400(
    call: Caller, catalogue: Catalogue, query: str, param: str
) -> None:
    answer = call("GET", f"{SEARCH}?{query}")
    assert answer.status == 400
    assert answer.error["param"] == param


def test_a_silent_hub_is_a_503_that_says_why(call: Caller, catalogue: Catalogue) -> None:
    catalogue.status = 503
    answer = call("GET", SEARCH)
    assert answer.status == 503
    assert answer.error["code"] == "hub_unreachable"
    assert "answered with status 503" in answer.error["message"]


def test_tells_all_of_one_model(call: Caller, catalogue: Catalogue) -> None:
    told = call("GET", f"/api/discovery/models/{BASE}?context=2048").json
    assert told["is_loadable"] is True
    assert told["context_length"] == 8192
    assert told["config"]["model_type"] == "llama"
    assert told["fits"][0]["purpose"] == "Chat with 2,048 tokens"
    assert (
        sum(term["bytes"] for term in told["fits"][0]["terms"]) == told["fits"][0]["needed_bytes"]
    )
    fetched = sum(file["size"] for file in told["files"] if file["fetched"])
    assert fetched == told["download_bytes"]
    assert told["card"].startswith("# Tiny")
    assert told["relatives"][0]["repo_id"] == FOUR_BITS


@pytest.mark.parametrize("path", ["acme/nothing", "a/b..c", f"{BASE}?revision=v9"])
def test_what_is_not_there_is_a_404(call: Caller, catalogue: Catalogue, path: str) -> None:
    answer = call("GET", f"/api/discovery/models/{path}")
    assert answer.status == 404
    assert answer.error["code"] == "repository_not_found"
