"""What deleting takes along, on the page and in fact."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from apps.models import deleting
from apps.models.consequences import Consequence, deletion_of
from apps.models.errors import ModelInUse
from apps.models.models import Adapter, LocalModel
from apps.models.signals import deletion_begins, deletion_considered
from apps.models.work.models import ModelJob
from tests.registry import make_model

pytestmark = pytest.mark.django_db


@pytest.fixture
def own(models_dir: Path) -> LocalModel:
    """A model whose folder is the hub's own, of 1,000 bytes."""
    folder = models_dir / "own"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(bytes(1000))
    return make_model("own", path=str(folder))


@pytest.fixture
def adapter(own: LocalModel, settings: Settings) -> Adapter:
    folder = Path(settings.HUB.adapters_dir) / "poet"
    folder.mkdir(parents=True)
    (folder / "adapters.safetensors").write_bytes(bytes(10))
    return Adapter.objects.create(base=own, slug="poet", name="Poet", path=str(folder), digest="d")


@pytest.fixture
def objection() -> Iterator[None]:
    """Somebody who can't let go of any model."""

    def refuse(**kwargs: Any) -> None:
        raise ModelInUse("It is answering. Wait for it.")

    deletion_begins.connect(refuse)
    yield
    deletion_begins.disconnect(refuse)


def texts(model: LocalModel, adapter: Adapter | None = None) -> str:
    return " ".join(each.text for each in deletion_of(model, adapter).consequences)


def test_the_bytes_freed_are_those_of_the_hubs_own_folder(own: LocalModel) -> None:
    assert deletion_of(own).freed_bytes == 1000
    elsewhere = make_model("elsewhere")
    assert deletion_of(elsewhere).freed_bytes == 0
    assert "Its files stay in /models/elsewhere" in texts(elsewhere)


def test_what_hangs_on_a_model_is_named(own: LocalModel, adapter: Adapter) -> None:
    make_model("derived", derived_from=own)
    make_model("large", draft=own)
    LocalModel.objects.filter(pk=own.pk).update(alias="gpt")
    own.refresh_from_db()

    told = texts(own)

    assert "Adapter Poet is built on it" in told
    assert "stays, without its lineage: Derived" in told
    assert "go on without: Large" in told
    assert "calls that name gpt will be refused" in told
    assert not deletion_of(own).is_possible


def test_others_are_asked_what_they_know(own: LocalModel) -> None:
    def know(model: LocalModel, adapter: Adapter | None, **kwargs: Any) -> list[Consequence]:
        return [Consequence(f"{model.name} is loved.")]

    deletion_considered.connect(know)
    try:
        assert "Own is loved." in texts(own)
    finally:
        deletion_considered.disconnect(know)


def test_the_page_lists_it_and_a_post_deletes(client: Client, own: LocalModel) -> None:
    url = reverse("models:delete", args=["own"])
    assert "1 kB" in client.get(url).content.decode().replace("\xa0", " ")

    response = client.post(url)

    assert response.headers["Location"] == reverse("models:list")
    assert not LocalModel.objects.exists()
    assert not Path(own.path).exists()


def test_nothing_is_removed_where_somebody_can_not_let_go(
    client: Client, own: LocalModel, objection: None
) -> None:
    response = client.post(reverse("models:delete", args=["own"]))

    assert response.status_code == 409
    assert "It is answering. Wait for it." in response.content.decode()
    assert LocalModel.objects.exists()
    assert (Path(own.path) / "model.safetensors").exists()


def test_a_model_that_is_worked_on_stays(own: LocalModel) -> None:
    ModelJob.objects.create(kind=ModelJob.Kind.VERIFY, subject="Own", model=own)

    assert not deletion_of(own).is_possible
    with pytest.raises(ModelInUse, match="A job is at work on it"):
        deleting.delete_model(model=own)
    assert (Path(own.path) / "model.safetensors").exists()


def test_an_adapter_goes_with_its_files_and_leaves_its_base(
    client: Client, own: LocalModel, adapter: Adapter
) -> None:
    url = reverse("models:delete_adapter", args=["own", "poet"])
    assert "calls that name own:poet" in client.get(url).content.decode()

    client.post(url)

    assert not Adapter.objects.exists()
    assert not Path(adapter.path).exists()
    assert LocalModel.objects.get() == own


def test_an_adapter_that_lies_elsewhere_keeps_its_files(own: LocalModel, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    mine = Adapter.objects.create(
        base=own, slug="mine", name="Mine", path=str(tmp_path / "mine"), digest="d"
    )
    assert f"Its files stay in {tmp_path / 'mine'}" in texts(own, mine)

    deleting.delete_adapter(adapter=mine)

    assert (tmp_path / "mine").is_dir()


def test_a_link_among_the_adapters_is_not_followed(
    own: LocalModel, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    link = Path(settings.HUB.adapters_dir) / "link"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / "mine")
    linked = Adapter.objects.create(base=own, slug="l", name="L", path=str(link), digest="d")

    deleting.delete_adapter(adapter=linked)

    assert (tmp_path / "mine").is_dir()


def test_the_admin_says_why_a_model_stays(
    admin_client: Client, own: LocalModel, objection: None
) -> None:
    url = reverse("admin:models_localmodel_delete", args=[own.pk])

    response = admin_client.post(url, {"post": "yes"}, follow=True)

    assert "It is answering. Wait for it." in response.content.decode()
    assert LocalModel.objects.exists()
