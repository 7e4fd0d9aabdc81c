from pathlib import Path

import pytest

from apps.inference.engine.tests.tiny import write_tiny_model


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("base") / "tiny", scale=1)
