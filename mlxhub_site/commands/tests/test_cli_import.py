"""`mlx-hub import`: what other programs keep here, listed and taken by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings
from typer.testing import CliRunner, Result

from apps.models.found.tests.stores import gguf_file, hf_repository, lm_studio_folder, ollama_model
from apps.models.models import LocalModel
from mlxhub_site.cli import app

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, settings: Settings) -> Path:
    """A data folder of the test's own, and nothing that other programs keep."""
    settings.HUB = settings.HUB.model_copy(
        update={
            "home": tmp_path / "home",
            "hf_cache": tmp_path / "hf",
            "lm_studio_folders": (tmp_path / "lm",),
            "ollama_folder": tmp_path / "ollama",
        }
    )
    settings.HUB.models_dir.mkdir(parents=True)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["import", *arguments])


def test_what_is_found_is_listed_with_what_speaks_against_it(machine: Path) -> None:
    hf_repository(machine / "hf", "a/hub-model", model_type="qwen3")
    gguf_file(machine / "lm" / "b" / "c" / "x.gguf", architecture="mamba")

    lines = run("--found").stdout.splitlines()

    assert lines[0].startswith("a/hub-model ")
    assert lines[0].endswith("Hugging Face cache, MLX folder, qwen3, float32")
    assert lines[1].startswith("b/c/x ")
    assert "can't be imported: GGUF import does not know the family 'mamba'" in lines[1]


def test_where_nothing_is_found_it_says_what_else_there_is() -> None:
    assert "`mlx-hub import PATH` takes any" in run("--found").stdout


def test_a_find_is_imported_by_its_name(machine: Path) -> None:
    snapshot = hf_repository(machine / "hf", "a/hub-model")
    ollama_model(machine / "ollama")

    in_place, copied = run("a/hub-model"), run("tiny:1b", "--name", "my-tiny")

    assert f"hub-model is ready (hub-model); its files stay in {snapshot}." in in_place.stdout
    assert "my-tiny is ready (my-tiny)." in copied.stdout
    assert set(LocalModel.objects.values_list("slug", flat=True)) == {"hub-model", "my-tiny"}


def test_what_was_imported_or_found_is_told_to_programs(machine: Path) -> None:
    snapshot = hf_repository(machine / "hf", "a/hub-model")
    ollama_model(machine / "ollama")

    listed = json.loads(run("--found", "--json").stdout)
    in_place = json.loads(run(str(snapshot), "--json").stdout)
    copied = json.loads(run("tiny:1b", "--name", "My tiny", "--json").stdout)

    assert [each["name"] for each in listed] == ["a/hub-model", "tiny:1b"]
    assert (in_place["slug"], in_place["path"]) == ("hub-model", str(snapshot))
    assert (copied["slug"], copied["name"], copied["source"]) == ("my-tiny", "My tiny", "ollama")


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        ([], 2, "Give a path, or a name"),
        (["absent"], 1, "There is nothing at"),
        (["twin"], 2, "Several are called 'twin': a/twin, b/twin. Give the whole name."),
    ],
)
def test_what_can_not_be_told_apart_or_found_is_one_line_on_standard_error(
    machine: Path, arguments: list[str], code: int, complaint: str
) -> None:
    hf_repository(machine / "hf", "a/twin")
    lm_studio_folder(machine / "lm", "b/twin")

    result = run(*arguments)

    assert result.exit_code == code
    assert result.stderr.startswith("Error: ")
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1
