from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from apps.models.found.scan import Places, places
from apps.models.runtime.tests.folders import write_folder
from apps.models.tests.conftest import gguf

__all__ = ["gguf"]


@pytest.fixture(autouse=True)
def where(tmp_path: Path, settings: Settings) -> Places:
    """A data folder of the test's own, and places where no other program keeps anything yet."""
    settings.HUB = settings.HUB.model_copy(
        update={
            "home": tmp_path / "hub",
            "hf_cache": tmp_path / "hf",
            "lm_studio_folders": (tmp_path / "lm",),
            "ollama_folder": tmp_path / "ollama",
        }
    )
    settings.HUB.models_dir.mkdir(parents=True)
    return places()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder outside the data folder."""
    return write_folder(tmp_path / "mine", {"a.weight": ("F32", [4])})
