from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from apps.inference.engine.tests.tiny import write_tiny_model
from apps.jobs import line, tasks
from apps.models.models import LocalModel
from apps.models.services import register_folder
from apps.training import running
from apps.training.trainer.tests.runs import rows, write_rows


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own, and runs that are looked at often."""
    monkeypatch.setattr(running, "LOOK_SECONDS", 0.02)
    settings.HUB = settings.HUB.model_copy(update={"home": tmp_path / "hub"})
    hub = settings.HUB
    for folder in (hub.models_dir, hub.logs_dir, hub.runs_dir, hub.data_dir / "run"):
        Path(folder).mkdir(parents=True)
    return Path(hub.data_dir)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("base") / "tiny", scale=1)


@pytest.fixture
def base(transactional_db: None, weights: Path) -> LocalModel:
    return register_folder(path=weights, slug="base", name="Base", source=LocalModel.Source.FOLDER)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    write_rows(folder / "train.jsonl", rows(10))
    write_rows(folder / "valid.jsonl", rows(5, first=50))
    return folder


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the jobs that the worker was woken up for, which does not run here."""
    keys: list[int] = []
    monkeypatch.setattr(tasks, "take_turns", lambda: keys.extend(one.pk for one in line.waiting()))
    return keys
