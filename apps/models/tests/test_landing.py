"""Whatever moment a process is killed at, the next start finds its way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from apps.models import landing, services
from apps.models.models import LocalModel
from apps.models.tests.test_services import visible

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).parents[3]


@pytest.fixture
def model(models_dir: Path, gguf: Path) -> LocalModel:
    return services.import_gguf_model(source=gguf, slug="tiny", name="Tiny")


def test_killed_before_the_row_was_written_the_folder_goes(models_dir: Path) -> None:
    landing.waiting("tiny").mkdir()

    landing.settle_all()

    assert visible(models_dir) == set()


def test_killed_after_the_row_was_written_the_folder_takes_its_place(
    models_dir: Path, model: LocalModel
) -> None:
    landing.home("tiny").rename(landing.waiting("tiny"))

    landing.settle_all()

    assert visible(models_dir) == {"tiny"}
    assert (Path(model.path) / "config.json").is_file()


def test_killed_while_deleting_after_the_row_was_gone_the_folder_goes(
    models_dir: Path, model: LocalModel
) -> None:
    landing.home("tiny").rename(landing.waiting("tiny"))
    model.delete()

    landing.settle_all()

    assert visible(models_dir) == set()


def test_a_registered_folder_is_never_touched(models_dir: Path, model: LocalModel) -> None:
    landing.waiting("tiny").mkdir()

    landing.settle_all()

    assert visible(models_dir) == {"tiny"}
    assert (Path(model.path) / "config.json").is_file()


def test_an_import_killed_half_way_is_cleared_by_the_next(models_dir: Path, gguf: Path) -> None:
    killed = f"""
import os
from pathlib import Path
from apps.models.runtime.gguf.importer import import_gguf

def progress(stage, fraction):
    if stage == "converting weights" and fraction > 0.5:
        os._exit(9)

import_gguf(Path({str(gguf)!r}), Path({str(landing.waiting("tiny"))!r}), progress)
"""
    done = subprocess.run([sys.executable, "-c", killed], cwd=ROOT, check=False)
    assert done.returncode == 9
    assert len(visible(models_dir)) == 1

    services.import_gguf_model(source=gguf, slug="tiny", name="Tiny")

    assert visible(models_dir) == {"tiny"}
