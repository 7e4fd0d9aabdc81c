"""The form's field of the data: a list of datasets, and a box for anything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from apps.datasets.models import Dataset, DatasetVersion
from apps.models.models import LocalModel
from apps.training.data_input import OTHER, DataInput
from apps.training.models import TrainingJob

NEW = reverse("training:new")


def make_dataset(slug: str, *, name: str = "", kind: str = "completion", rows: int = 1) -> Dataset:
    """A dataset's row with two versions, without any files."""
    dataset = Dataset.objects.create(slug=slug, name=name or slug.title())
    for number in (1, 2):
        dataset.head = DatasetVersion.objects.create(
            dataset=dataset, number=number, digest=slug, kind=kind, train_rows=rows, nbytes=1
        )
    dataset.save()
    return dataset


@pytest.fixture
def words(base: LocalModel) -> Dataset:
    return make_dataset("words", rows=4000)


def page_of(client: Client, **query: str) -> str:
    return client.get(NEW, query).content.decode()


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ({"folder": "words"}, "words"),
        ({"folder": "/data"}, "/data"),
        ({"folder": "words", "folder_other": "/data"}, "words"),
        ({"folder": OTHER, "folder_other": "words@1"}, "words@1"),
        ({"folder": "", "folder_other": "/data"}, "/data"),
        ({"folder": OTHER}, ""),
        ({}, ""),
    ],
)
def test_what_is_chosen_counts_and_else_what_is_written(sent: dict[str, str], name: str) -> None:
    assert DataInput().value_from_datadict(sent, {}, "folder") == name


def test_the_list_has_what_can_be_learnt_with_its_rows(client: Client, words: Dataset) -> None:
    make_dataset("columns", kind="unmapped")
    make_dataset("words-2", name="Words")
    Dataset.objects.create(slug="coming", name="Coming")
    page = page_of(client)
    assert '<option value="words">Words: 4,000 rows, prompts and completions</option>' in page
    assert ">Words (words-2): 1 row, prompts and completions</option>" in page
    assert "Columns" not in page
    assert "Coming" not in page


@pytest.mark.parametrize("query", [{"data": "words"}, {"folder": "words"}, {"folder": "words@2"}])
def test_a_link_chooses_a_dataset(client: Client, words: Dataset, query: dict[str, str]) -> None:
    page = page_of(client, **query)
    assert '<option value="words" selected>' in page
    assert f'<option value="{OTHER}">' in page


@pytest.mark.parametrize("name", ["words@1", "/data", "<b>"])
def test_what_is_not_in_the_list_stands_in_the_box(
    client: Client, words: Dataset, name: str
) -> None:
    page = page_of(client, folder=name)
    assert f'<option value="{OTHER}" selected>' in page
    shown = name.replace("<", "&lt;").replace(">", "&gt;")
    assert f'name="folder_other" value="{shown}"' in page


def test_a_form_that_comes_back_has_what_was_written(client: Client, words: Dataset) -> None:
    sent = {"model": "base", "folder": OTHER, "folder_other": "/nowhere", "action": "examine"}
    page = client.post(NEW, sent).content.decode()
    assert f'<option value="{OTHER}" selected>' in page
    assert 'name="folder_other" value="/nowhere"' in page
    assert "There is no train.jsonl in /nowhere" in strip_tags(page)


def test_nobody_is_told_off_before_anything_is_chosen(client: Client, words: Dataset) -> None:
    sent = {"model": "base", "folder": OTHER, "folder_other": "", "action": "examine"}
    page = client.post(NEW, sent, headers={"HX-Request": "true"}).content.decode()
    assert "Choose a model and data" in page


def test_the_folder_that_is_written_is_trained_on(
    client: Client, base: LocalModel, data: Path, queued: list[int]
) -> None:
    sent = {"model": "base", "folder": OTHER, "folder_other": str(data), "name": "Numbers"}
    client.post(NEW, sent | {"action": "order"})
    assert TrainingJob.objects.get().data == str(data)
