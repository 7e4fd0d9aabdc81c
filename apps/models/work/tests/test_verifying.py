from __future__ import annotations

from pathlib import Path

import pytest

from apps.jobs.models import JobState
from apps.models.models import LocalModel
from apps.models.work.services import order_verification
from apps.models.work.tests.conftest import carried_out

pytestmark = pytest.mark.django_db(transaction=True)


def verified(model: LocalModel) -> LocalModel:
    job = carried_out(order_verification(model=model))
    assert job.state == JobState.DONE, job.error
    model.refresh_from_db()
    assert job.figures["damage"] == model.damage
    return model


def test_what_was_registered_is_found_whole(model: LocalModel) -> None:
    before = model.verified_at

    assert verified(model).damage == ""
    assert model.verified_at is not None
    assert before is not None
    assert model.verified_at > before


def test_each_file_that_differs_is_named(model: LocalModel) -> None:
    folder = Path(model.path)
    (folder / "config.json").write_text((folder / "config.json").read_text() + " ")
    (folder / "tokenizer.json").unlink()
    (folder / "added.json").write_text("{}")

    damage = verified(model).damage

    assert "changed: config.json" in damage
    assert "missing: tokenizer.json" in damage
    assert "added: added.json" in damage


def test_a_folder_that_is_gone_is_damage_and_no_failure(model: LocalModel) -> None:
    LocalModel.objects.filter(pk=model.pk).update(path="/nowhere")

    assert "can't be read" in verified(model).damage


def test_damage_that_was_mended_is_forgotten(model: LocalModel) -> None:
    config = Path(model.path) / "config.json"
    whole = config.read_bytes()
    config.write_bytes(whole + b" ")
    assert verified(model).damage
    config.write_bytes(whole)

    assert verified(model).damage == ""


def test_a_model_of_an_older_hub_gets_its_files_digests(model: LocalModel) -> None:
    files = model.files
    LocalModel.objects.update(files={})
    model.refresh_from_db()

    assert verified(model).files == files


def test_one_verification_of_a_model_at_a_time(model: LocalModel) -> None:
    assert order_verification(model=model) == order_verification(model=model)
