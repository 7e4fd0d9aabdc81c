"""Getting models with the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings
from typer.testing import CliRunner, Result

from apps.inference.engine.tests.tiny import write_tiny_model
from apps.models.models import LocalModel
from mlxhub_site.cli import app

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, settings: Settings) -> None:
    """A data folder of the test's own, and a hub that nobody answers for."""
    settings.HUB = settings.HUB.model_copy(
        update={"home": tmp_path / "home", "hf_endpoint": "http://127.0.0.1:9"}
    )
    Path(settings.HUB.models_dir).mkdir(parents=True)


def test_a_model_folder_is_registered_where_it_lies(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "elsewhere" / "my-model")

    result = run("import", str(folder), "--name", "mine")

    assert result.exit_code == 0, result.output
    assert f"mine is ready (mine); its files stay in {folder}." in result.stdout
    assert Path(LocalModel.objects.get(slug="mine").path) == folder


def test_a_folder_that_holds_no_model_is_one_line_on_standard_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    result = run("import", str(tmp_path / "empty"), "--name", "empty")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: There is no model in")
    assert result.stderr.count("\n") == 1


def test_a_hub_that_cannot_be_reached_is_one_line_on_standard_error() -> None:
    result = run("pull", "acme/tiny")

    assert result.exit_code == 4
    assert result.stderr.startswith("Error: http://127.0.0.1:9 can't be reached")
    assert result.stderr.count("\n") == 1


def test_text_that_is_no_repository_is_one_line_on_standard_error() -> None:
    result = run("pull", "../../etc")

    assert result.exit_code == 3
    assert result.stderr.startswith("Error: '../../etc' can't be a repository")
