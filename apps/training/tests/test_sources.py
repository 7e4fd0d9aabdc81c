"""What to train on is named as a dataset or as a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.roles import Role
from apps.audit.actors import Actor, ActorKind, acting
from apps.datasets.errors import InUse
from apps.datasets.models import Dataset
from apps.datasets.services import delete_dataset
from apps.datasets.tests.conftest import Import, imported
from apps.models.models import LocalModel
from apps.training.errors import BadOrder
from apps.training.models import TrainingJob
from apps.training.sources import name_of, source_named
from apps.training.trainer.tests.runs import rows
from tests.people import ClientOf

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


@pytest.mark.parametrize("kind", ["user", "key", "nobody"])
def test_a_path_is_the_owners_to_name(kind: ActorKind, tmp_path: Path) -> None:
    with acting(Actor(kind, "ada")), pytest.raises(BadOrder, match="its owner's to name"):
        source_named(str(tmp_path))
    with acting(Actor("key", "ada", owns=True)):
        assert source_named(str(tmp_path)).folder == tmp_path


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER])
def test_who_is_no_owner_learns_nothing_of_a_folder(
    client_of: ClientOf, base: LocalModel, tmp_path: Path, role: Role
) -> None:
    """Neither whether it is there nor what is in it, however it is asked for."""
    (tmp_path / "train.jsonl").write_text('{"text": "salaries"}\n')
    person = client_of(role)
    token = person.get("/training/new/").wsgi_request.META["CSRF_COOKIE"]
    told = set()
    for folder in (tmp_path, tmp_path / "nowhere"):
        asked = {"model": "base", "data": str(folder), "name": "Mine", "settings": {"iters": 4}}
        answer = person.post(
            "/api/training/preflight",
            asked,
            content_type="application/json",
            headers={"X-CSRFToken": token},
        )
        assert answer.status_code == 400
        told.add(answer.json()["error"]["message"])
    assert len(told) == 1
    assert "its owner's to name" in told.pop()


def test_a_member_orders_no_training_on_a_folder(
    client_of: ClientOf, base: LocalModel, tmp_path: Path
) -> None:
    (tmp_path / "train.jsonl").write_text('{"text": "salaries"}\n')
    asked = {"model": "base", "folder": str(tmp_path), "name": "Mine", "iters": "4"}
    page = client_of(Role.MEMBER).post(reverse("training:new"), asked | {"action": "order"})
    assert "its owner&#x27;s to name" in page.content.decode()
    assert not TrainingJob.objects.exists()


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
