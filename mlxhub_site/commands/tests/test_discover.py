"""`mlx-hub search` and `mlx-hub info`."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from apps.discovery.tests.catalogue import BASE, FOUR_BITS, GGUF
from apps.discovery.tests.conftest import catalogue, hub_server, models_dir
from apps.discovery.tests.hub_search import Catalogue
from mlxhub_site.cli import app

__all__ = ["catalogue", "hub_server", "models_dir"]

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "160"})


def test_search_lists_models_in_a_table(catalogue: Catalogue) -> None:
    output = run("search", "tiny").stdout
    assert FOUR_BITS in output
    assert "1B" in output
    assert "562.5 MB" in output


def test_search_filters(catalogue: Catalogue) -> None:
    found = json.loads(run("search", "--max-gb", "0.6", "--json").stdout)
    assert [each["repo_id"] for each in found["models"]] == [FOUR_BITS]
    assert "None of 3 models fits." in run("search", "--quantization", "3-bit").stdout


def test_search_says_how_to_go_on(catalogue: Catalogue) -> None:
    for number in range(40):
        catalogue.add(f"many/Model-{number:02}", tags=["mlx"], likes=number)
    assert "--cursor 30" in run("search", "many").stdout


def test_info_tells_what_a_model_is_and_whether_it_fits(catalogue: Catalogue) -> None:
    output = run("info", BASE, "--context", "2048").stdout
    assert "8,192 tokens" in output
    assert "Chat with 2,048 tokens" in output
    assert f"mlx-hub pull {BASE}" in output


def test_info_takes_an_address_and_prints_json(catalogue: Catalogue) -> None:
    told = json.loads(run("info", f"https://huggingface.co/{BASE}", "--json").stdout)
    assert told["model"]["repo_id"] == BASE


def test_info_of_what_mlx_can_not_load_says_what_to_do(catalogue: Catalogue) -> None:
    assert "mlx-hub import FILE" in run("info", GGUF).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("search", "--sort", "odd"), "sort: Input should be 'trending', 'downloads', 'likes'"),
        (("search", "--max-params", "nan"), "--max-params"),
        (("info", "../etc"), "can't be a repository"),
        (("info", "acme/nothing"), "is not on"),
        (("info", BASE, "--revision", "a b"), "No revision can be called"),
    ],
)
def test_what_can_not_be_done_is_one_line_on_standard_error(
    catalogue: Catalogue, arguments: tuple[str, ...], said: str
) -> None:
    result = run(*arguments)
    assert result.exit_code != 0
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unreachable_hub_leaves_what_was_kept(catalogue: Catalogue) -> None:
    run("search", "tiny")
    catalogue.status = 503
    output = run("search", "tiny", "--refresh").stdout
    assert "status 503" in output
    assert FOUR_BITS in output
