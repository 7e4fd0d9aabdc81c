from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from apps.models import services
from apps.models.models import Adapter, LocalModel

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(models_dir: Path, gguf: Path) -> LocalModel:
    model = services.import_gguf_model(source=gguf, slug="tiny", name="Tiny")
    Adapter.objects.create(base=model, slug="a", name="Polite", path="/a", digest="sha256:0")
    return model


def test_models_are_listed_filtered_and_searched(admin_client: Client, model: LocalModel) -> None:
    url = reverse("admin:models_localmodel_changelist")

    found = admin_client.get(url, {"q": "tiny", "architecture": "llama"}).content.decode()
    missed = admin_client.get(url, {"q": "absent"}).content.decode()

    assert "Tiny" in found
    assert "mixed 4/8-bit" in found
    assert "0 local models" in missed


def test_what_the_files_say_can_not_be_edited(admin_client: Client, model: LocalModel) -> None:
    url = reverse("admin:models_localmodel_change", args=[model.pk])

    page = admin_client.get(url).content.decode()
    admin_client.post(
        url, {"name": "New", "slug": "new", "license": "", "repo_id": "", "digest": "sha256:1"}
    )

    assert model.digest in page
    assert 'name="digest"' not in page
    saved = LocalModel.objects.get()
    assert (saved.name, saved.slug, saved.digest) == ("New", "tiny", model.digest)


def test_adapters_are_listed_with_their_base(admin_client: Client, model: LocalModel) -> None:
    page = admin_client.get(reverse("admin:models_adapter_changelist")).content.decode()

    assert "Polite" in page
    assert "Tiny" in page


def test_deleting_in_the_admin_removes_the_files_too(
    admin_client: Client, model: LocalModel, models_dir: Path
) -> None:
    model.adapters.all().delete()

    admin_client.post(reverse("admin:models_localmodel_delete", args=[model.pk]), {"post": "yes"})

    assert not LocalModel.objects.exists()
    assert not (models_dir / "tiny").exists()


def test_a_model_can_not_be_made_up_by_hand(admin_client: Client) -> None:
    assert admin_client.get(reverse("admin:models_localmodel_add")).status_code == 403
