from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own, and no server of the machine's."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    settings.HUB = settings.HUB.model_copy(
        update={"home": tmp_path / "hub", "mlflow_tracking_uri": None, "track_runs": True}
    )
    settings.HUB.logs_dir.mkdir(parents=True)
    return Path(settings.HUB.data_dir)
