from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from apps.datasets.models import Dataset, DatasetJob
from apps.datasets.running import run
from apps.datasets.services import order_import

Import = Callable[..., Dataset]


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Settings) -> Path:
    """A data folder of the test's own."""
    settings.HUB = settings.HUB.model_copy(update={"home": tmp_path / "hub"})
    Path(settings.HUB.data_dir).mkdir()
    return Path(settings.HUB.data_dir)


@pytest.fixture(autouse=True)
def no_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's transaction keeps the thread that would write them waiting for its end."""
    monkeypatch.setattr("apps.jobs.conduct.BEAT_SECONDS", 600.0)


def carried_out(job: DatasetJob, **options: Any) -> DatasetJob:
    """The job after it was run here."""
    run(job, stops=options.pop("stops", threading.Event()), **options)
    job.refresh_from_db()
    return job


@pytest.fixture
def imported(db: None, tmp_path: Path) -> Import:
    """A function from rows, or the text of a file, to a dataset of them."""

    def import_(rows: list[dict[str, Any]] | str, name: str = "rows.jsonl") -> Dataset:
        path = tmp_path / name
        text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
        path.write_text(text)
        job = carried_out(order_import(path=path, name=path.stem))
        assert job.error == ""
        return Dataset.objects.named(job.dataset.slug)

    return import_
