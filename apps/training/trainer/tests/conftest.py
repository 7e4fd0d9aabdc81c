from pathlib import Path

import pytest

from apps.inference.engine.tests.tiny import write_tiny_model
from apps.models.runtime import accelerator, loading


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("base") / "tiny", scale=1)


@pytest.fixture(scope="session")
def profile():
    return accelerator.prepare()


@pytest.fixture(scope="module")
def loaded(model, profile):
    return loading.load(model, profile)
