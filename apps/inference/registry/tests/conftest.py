from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from apps.models.work import tasks


@pytest.fixture(autouse=True)
def models_dir(tmp_path: Path, settings: Settings) -> Path:
    """A data folder of the test's own, in which nobody answers for the engine."""
    settings.HUB = settings.HUB.model_copy(update={"home": tmp_path / "hub"})
    for folder in (settings.HUB.models_dir, settings.HUB.logs_dir):
        Path(folder).mkdir(parents=True)
    return Path(settings.HUB.models_dir)


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The jobs that the worker was asked to run."""
    keys: list[int] = []
    monkeypatch.setattr(tasks, "run_model_job", keys.append)
    return keys
