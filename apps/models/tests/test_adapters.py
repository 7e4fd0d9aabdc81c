"""Adapters in the registry."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.models import deleting, services
from apps.models.errors import InvalidName, ModelInUse, NameTaken
from apps.models.models import Adapter, LocalModel
from apps.models.runtime.errors import AdapterFormatError
from apps.models.runtime.tests.adapter_folders import CONFIG, lora, write_adapter
from apps.models.runtime.tests.folders import write_folder

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("models_dir")]


@pytest.fixture
def base(tmp_path: Path) -> LocalModel:
    weights = {"model.layers.0.self_attn.q_proj.weight": ("BF16", [64, 64])}
    return services.register_folder(
        path=write_folder(tmp_path / "base", weights),
        slug="base",
        name="Base",
        source=LocalModel.Source.FOLDER,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "poet")


def register(base: LocalModel, folder: Path, slug: str = "poet") -> Adapter:
    return services.register_adapter(base=base, path=folder, slug=slug, name="Poet")


def test_an_adapter_is_found_by_its_base_and_its_name(base: LocalModel, folder: Path) -> None:
    adapter = register(base, folder)

    assert list(Adapter.objects.named(base, "poet")) == [adapter]
    assert (adapter.rank, adapter.path, str(adapter)) == (4, str(folder), "base:poet")
    assert adapter.size_bytes == (folder / "adapters.safetensors").stat().st_size


def test_registering_a_rewritten_adapter_again_renews_its_digest(
    base: LocalModel, folder: Path
) -> None:
    before = register(base, folder)
    write_adapter(folder, config=CONFIG | {"lora_parameters": {"rank": 4, "scale": 1.0}})

    after = register(base, folder)

    assert after.pk == before.pk
    assert after.digest != before.digest


def test_two_adapters_over_one_base_need_two_names(
    base: LocalModel, folder: Path, tmp_path: Path
) -> None:
    register(base, folder)

    with pytest.raises(NameTaken, match="poet"):
        register(base, write_adapter(tmp_path / "other"))


def test_a_name_that_requests_can_not_carry_is_refused(base: LocalModel, folder: Path) -> None:
    with pytest.raises(InvalidName, match="an adapter's name"):
        register(base, folder, slug="a:b")


def test_an_adapter_for_another_base_is_not_registered(base: LocalModel, tmp_path: Path) -> None:
    wide = write_adapter(tmp_path / "wide", lora("model.layers.0.self_attn.q_proj", 128, 64))

    with pytest.raises(AdapterFormatError, match="trained on"):
        register(base, wide)

    assert not Adapter.objects.exists()


def test_a_base_stays_while_adapters_are_built_on_it(base: LocalModel, folder: Path) -> None:
    register(base, folder)

    with pytest.raises(ModelInUse):
        deleting.delete_model(model=base)


def test_the_command_registers_a_folder_under_its_own_name(base: LocalModel, folder: Path) -> None:
    out = StringIO()
    call_command("register_adapter", "base", str(folder), stdout=out)

    assert "poet is ready (base:poet)" in out.getvalue()


def test_the_command_names_a_missing_base(folder: Path) -> None:
    with pytest.raises(CommandError, match="No model is named 'gone'"):
        call_command("register_adapter", "gone", str(folder))


def test_the_command_says_why_a_folder_is_no_adapter(base: LocalModel, folder: Path) -> None:
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG | {"fine_tune_type": "full"}))

    with pytest.raises(CommandError, match="Fuse it"):
        call_command("register_adapter", "base", str(folder))
