from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from apps.models.runtime.tests.tiny import write_gguf


@pytest.fixture
def models_dir(tmp_path: Path, settings: Settings) -> Path:
    """An empty models folder of a data folder of the test's own."""
    settings.HUB = settings.HUB.model_copy(update={"home": tmp_path / "hub"})
    folder = Path(settings.HUB.models_dir)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    """A tiny GGUF file outside the data folder."""
    write_gguf(tmp_path / "tiny.gguf")
    return tmp_path / "tiny.gguf"
