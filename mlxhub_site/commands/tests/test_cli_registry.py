"""The registry on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings
from typer.testing import CliRunner, Result

from apps.inference.engine.tests.tiny import write_tiny_model
from apps.jobs.models import JobState
from apps.models.models import LocalModel
from apps.models.services import register_folder
from apps.models.work.models import ModelJob
from mlxhub_site.cli import app

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, arguments, input=typed)


@pytest.fixture(autouse=True)
def models_dir(tmp_path: Path, settings: Settings) -> Path:
    settings.HUB = settings.HUB.model_copy(update={"home": tmp_path / "hub"})
    for folder in (settings.HUB.models_dir, settings.HUB.logs_dir, settings.HUB.data_dir / "run"):
        Path(folder).mkdir(parents=True)
    return Path(settings.HUB.models_dir)


@pytest.fixture
def tiny(db: None, tmp_path: Path) -> LocalModel:
    """A real, tiny model."""
    folder = write_tiny_model(tmp_path / "elsewhere" / "tiny")
    return register_folder(path=folder, slug="tiny", name="Tiny", source=LocalModel.Source.FOLDER)


def test_models_are_listed_for_people_and_for_programs(tiny: LocalModel) -> None:
    assert "tiny" in run("list").stdout
    listed = json.loads(run("list", "--json").stdout)
    assert [model["slug"] for model in listed["models"]] == ["tiny"]
    assert json.loads(run("list", "nothing", "--json").stdout)["total"] == 0


def test_a_model_is_shown(tiny: LocalModel) -> None:
    assert json.loads(run("show", "tiny", "--json").stdout)["digest"] == tiny.digest
    assert "architecture" in run("show", "tiny").stdout
    gone = run("show", "gone")
    assert gone.exit_code == 3
    assert gone.stderr.startswith("Error: The model 'gone' is not on this hub.")


def test_a_model_goes_by_the_repository_that_it_is_from(tiny: LocalModel) -> None:
    LocalModel.objects.update(repo_id="kim/tiny")
    assert json.loads(run("show", "kim/tiny", "--json").stdout)["slug"] == "tiny"
    assert run("rm", "kim/tiny", "--yes").exit_code == 0
    gone = run("show", "kim/tiny")
    assert (gone.exit_code, "mlx-hub pull kim/tiny" in gone.stderr) == (3, True)


def test_a_deletion_is_told_and_asked_for(tiny: LocalModel) -> None:
    refused = run("rm", "tiny", typed="n\n")
    assert refused.exit_code == 1
    assert f"Its files stay in {tiny.path}" in refused.stdout
    nobody = run("rm", "tiny")
    assert (nobody.exit_code, "No answer came" in nobody.stderr) == (1, True)
    assert LocalModel.objects.exists()

    assert run("rm", "tiny", "--yes").exit_code == 0
    assert not LocalModel.objects.exists()
    assert Path(tiny.path).is_dir()


def test_several_are_deleted_and_one_that_is_not_there_holds_up_no_other(tiny: LocalModel) -> None:
    result = run("rm", "gone", "tiny", "--yes")
    assert (result.exit_code, "'gone' is not on this hub" in result.stderr) == (3, True)
    assert "tiny is deleted." in result.stdout
    assert not LocalModel.objects.exists()


def test_the_disk_is_told(tiny: LocalModel, models_dir: Path) -> None:
    (models_dir / "stray").mkdir()

    assert "Safe to remove: stray" in run("disk").stdout
    assert json.loads(run("disk", "--json").stdout)["leftovers"][0]["name"] == "stray"


def test_a_model_is_verified_and_damage_is_an_exit_status(tiny: LocalModel) -> None:
    assert "files are what was registered" in run("verify", "tiny").stdout
    config = Path(tiny.path) / "config.json"
    config.write_text(config.read_text() + " ")

    damaged = run("verify", "tiny")

    assert damaged.exit_code == 1
    assert "changed: config.json" in damaged.stderr


def test_what_a_job_did_is_told_to_programs(tiny: LocalModel) -> None:
    told = json.loads(run("verify", "tiny", "--json").stdout)
    assert (told["kind"], told["state"], told["model"]) == ("verify", "done", "tiny")


def test_a_verification_that_the_worker_is_at_is_not_done_twice(tiny: LocalModel) -> None:
    ModelJob.objects.create(
        kind=ModelJob.Kind.VERIFY, subject="Tiny", model=tiny, state=JobState.RUNNING
    )

    twice = run("verify", "tiny")

    assert twice.exit_code == 5
    assert "worker is at it already" in twice.stderr


def test_a_model_is_converted_by_the_real_process(tiny: LocalModel) -> None:
    result = run(
        "convert", "tiny", "--name", "Tiny 8", "--bits", "8", "--group-size", "32", "--no-measure"
    )

    assert result.exit_code == 0, result.output
    assert "Tiny 8 is ready (tiny-8)." in result.stdout
    made = LocalModel.objects.get(slug="tiny-8")
    assert (made.derived_from, made.quantization) == (tiny, "8-bit")
    assert ModelJob.objects.get().state == JobState.DONE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bits", "7"], "--bits:"),
        (["--mode", "mxfp4", "--bits", "4"], "mxfp4 fixes bits and group size itself"),
        (["--dtype", "int8"], "--dtype:"),
    ],
)
def test_options_that_make_no_sense_are_one_line(
    tiny: LocalModel, options: list[str], message: str
) -> None:
    result = run("convert", "tiny", "--name", "x", *options)

    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_folder_is_exported_where_one_says(tiny: LocalModel, tmp_path: Path) -> None:
    result = run("export", "tiny", "--to", str(tmp_path / "copy"))

    assert result.exit_code == 0, result.output
    assert (tmp_path / "copy" / "model.safetensors").is_file()
    assert run("export", "tiny", "--to", str(tmp_path / "copy")).exit_code == 5


def test_a_fusion_needs_an_adapter(tiny: LocalModel) -> None:
    result = run("fuse", "tiny", "--name", "Fused")

    assert result.exit_code == 2
    assert "Name an adapter too, as tiny:ADAPTER." in result.stderr
