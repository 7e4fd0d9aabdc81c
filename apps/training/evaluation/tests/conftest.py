from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from apps.datasets.models import Dataset, DatasetVersion
from apps.training.trainer.tests.runs import rows


def make_dataset(given: list[dict[str, Any]], slug: str = "numbers") -> DatasetVersion:
    """A dataset whose only split is for validation."""
    dataset = Dataset.objects.create(slug=slug, name=slug.title())
    version = DatasetVersion.objects.create(
        dataset=dataset, number=1, digest=f"digest-{slug}", kind="completion", change="made",
        train_rows=0, valid_rows=len(given), nbytes=1,
    )  # fmt: skip
    dataset.head = version
    dataset.save()
    version.folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in given)
    (version.folder / "valid.jsonl").write_text(lines)
    return version


@pytest.fixture
def numbers(db: None, settings: Any, tmp_path: Path) -> DatasetVersion:
    """A dataset of five rows."""
    settings.HUB = settings.HUB.model_copy(update={"home": tmp_path})
    assert django_settings.HUB.datasets_dir.is_relative_to(tmp_path)
    return make_dataset(rows(5, first=50))
