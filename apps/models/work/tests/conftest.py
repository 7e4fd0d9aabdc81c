from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from apps.models.models import LocalModel
from apps.models.runtime.tests.folders import quantized, write_folder
from apps.models.services import register_folder
from apps.models.work.models import ModelJob
from apps.models.work.running import run

GATE = "model.layers.0.mlp.gate_proj"


@pytest.fixture(autouse=True)
def models_dir(tmp_path: Path, settings: Settings) -> Path:
    """A data folder of the test's own."""
    settings.HUB = settings.HUB.model_copy(update={"home": tmp_path / "hub"})
    for folder in (settings.HUB.models_dir, settings.HUB.logs_dir, settings.HUB.data_dir / "run"):
        Path(folder).mkdir(parents=True)
    return Path(settings.HUB.models_dir)


@pytest.fixture
def model(db: None, tmp_path: Path) -> LocalModel:
    """A model of headers and zeros, where somebody else keeps it."""
    folder = write_folder(
        tmp_path / "original",
        quantized(GATE, 128, 64, 4, 32),
        {"quantization": {"group_size": 32, "bits": 4}},
        tokenizer={"model": {"vocab": {"a": 0}}},
    )
    return register_folder(
        path=folder, slug="original", name="Original", source=LocalModel.Source.FOLDER
    )


def carried_out(job: ModelJob, **options: Any) -> ModelJob:
    """The job after it was run here."""
    run(job, stops=options.pop("stops", threading.Event()), **options)
    job.refresh_from_db()
    return job
