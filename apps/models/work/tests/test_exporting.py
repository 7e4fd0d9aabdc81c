from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from apps.jobs.models import JobState
from apps.models.errors import NameTaken
from apps.models.models import LocalModel
from apps.models.work.services import order_export
from apps.models.work.tests.conftest import carried_out

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_folder_is_copied_into_the_exports(model: LocalModel, settings: Settings) -> None:
    source = Path(model.path)
    (source / ".secret").write_text("no")
    (source / "additional_chat_templates").mkdir()
    (source / "additional_chat_templates" / "rag.jinja").write_text("{{ documents }}")

    job = carried_out(order_export(model=model, format="folder"))

    assert job.state == JobState.DONE, job.error
    copy = Path(settings.HUB.exports_dir) / "original"
    assert job.figures["destination"] == str(copy)
    for name in ("config.json", "model.safetensors", "additional_chat_templates/rag.jinja"):
        assert (copy / name).read_bytes() == (source / name).read_bytes()
    assert not (copy / ".secret").exists()
    assert job.figures["size_bytes"] == sum(
        file.stat().st_size for file in copy.rglob("*") if file.is_file()
    )


def test_another_place_may_be_named(model: LocalModel, tmp_path: Path) -> None:
    carried_out(order_export(model=model, format="folder", destination=tmp_path / "stick" / "mine"))

    assert (tmp_path / "stick" / "mine" / "config.json").is_file()


def test_links_are_copied_as_what_they_lead_to(model: LocalModel, settings: Settings) -> None:
    source = Path(model.path)
    (source / "config.json").rename(source.parent / "blob")
    (source / "config.json").symlink_to(source.parent / "blob")

    carried_out(order_export(model=model, format="folder"))

    copy = Path(settings.HUB.exports_dir) / "original" / "config.json"
    assert copy.is_file()
    assert not copy.is_symlink()


def test_what_is_there_is_never_overwritten(model: LocalModel, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()

    with pytest.raises(NameTaken, match="never overwrites"):
        order_export(model=model, format="folder", destination=tmp_path / "mine")
