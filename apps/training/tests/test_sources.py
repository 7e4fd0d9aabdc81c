"""What to train on is named as a dataset or as a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from apps.datasets.errors import InUse
from apps.datasets.models import Dataset
from apps.datasets.services import delete_dataset
from apps.datasets.tests.conftest import Import, imported
from apps.models.models import LocalModel
from apps.training.errors import BadOrder
from apps.training.models import TrainingJob
from apps.training.sources import name_of, source_named
from apps.training.trainer.tests.runs import rows

__all__ = ["imported"]


@pytest.fixture
def numbers(imported: Import) -> Dataset:
    return imported(rows(12), name="numbers.jsonl")


@pytest.mark.parametrize("text", ["numbers", "numbers@2", " numbers "])
def test_a_dataset_is_found_by_name_and_version(numbers: Dataset, text: str) -> None:
    source = source_named(text)
    assert source.version == numbers.head
    assert (source.folder / "train.jsonl").is_file()
    assert name_of(source.version) == "numbers@2"


@pytest.mark.parametrize("text", ["/data/numbers", "~/numbers", "Numbers/a"])
def test_a_path_is_a_folder(text: str) -> None:
    assert source_named(text).folder == Path(text)
    assert source_named(text).version is None


@pytest.mark.parametrize(("text", "told"), [("words", "no dataset"), ("numbers@7", "no version 7")])
def test_what_is_not_there_is_refused(numbers: Dataset, text: str, told: str) -> None:
    with pytest.raises(BadOrder, match=told):
        source_named(text)


def test_a_dataset_without_validation_rows_is_a_click_away_from_its_split(
    client: Client, base: LocalModel, numbers: Dataset
) -> None:
    asked = {"model": "base", "folder": "numbers", "action": "examine"}
    page = client.post(reverse("training:new"), asked, headers={"HX-Request": "true"})
    assert f'href="{numbers.get_absolute_url()}#split-title"' in page.content.decode()


def test_a_dataset_that_waits_to_be_trained_on_stays(
    client: Client, base: LocalModel, numbers: Dataset, queued: list[int]
) -> None:
    body = {"model": "base", "data": "numbers", "name": "Numbers", "settings": {"iters": 4}}
    ordered = client.post("/api/training/jobs", body, content_type="application/json").json()
    assert ordered["dataset"] == "numbers@2"
    with pytest.raises(InUse, match="The training Numbers is queued"):
        delete_dataset(dataset=numbers)
    page = client.get(reverse("training:new"), {"clone": ordered["id"]}).content.decode()
    assert '<option value="numbers" selected>' in page
    TrainingJob.objects.update(state="done")
    delete_dataset(dataset=numbers)
    assert client.get(reverse("training:detail", args=[ordered["id"]])).status_code == 200
