"""What can't work is refused with its reason, and nothing is queued: by page, REST and command."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import escape
from typer.testing import CliRunner

from apps.models.models import LocalModel
from apps.training import preflight
from apps.training.form_settings import flat
from apps.training.models import TrainingJob
from apps.training.tests.conftest import base, data, data_folder, queued, weights
from apps.training.trainer.tests.runs import rows, write_rows
from mlxhub_site.cli import app

__all__ = ["base", "data", "data_folder", "queued", "weights"]

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Asked:
    """An order, as any of the three ways puts it."""

    data: Path
    model: str = "base"
    settings: dict[str, Any] = field(default_factory=dict)

    def by_page(self) -> str:
        order = {"model": self.model, "folder": str(self.data), "name": "Bad", "action": "order"}
        response = Client().post(reverse("training:new"), order | flat(self.settings))
        assert response.status_code == 422
        return response.content.decode()

    def by_rest(self) -> str:
        order = {"model": self.model, "data": str(self.data), "name": "Bad"}
        response = Client().post(
            "/api/training/jobs", order | {"settings": self.settings}, "application/json"
        )
        assert response.status_code in (400, 404)
        return escape(response.json()["error"]["message"])

    def by_command(self) -> str:
        given = [f"--set={name}={json.dumps(value)}" for name, value in self.settings.items()]
        order = ["train", self.model, "--data", str(self.data), "--name", "Bad", *given]
        result = CliRunner().invoke(app, order)
        assert result.exit_code in (2, 3)
        assert "Traceback" not in result.stderr
        # Lines are folded to the terminal's width.
        return escape(" ".join(result.stderr.split()))


@dataclass(frozen=True)
class Bad:
    told: str
    settings: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] | None = None


LONG = [{"prompt": "why " * 40, "completion": "so"}]
BAD = {
    "no rows": Bad("train.jsonl has no rows", rows=[]),
    "all rows longer than the limit": Bad("All rows are longer than 8", {"max_seq_length": 8}),
    "nothing of the answers within the limit": Bad(
        "nothing of an answer is left to learn",
        {"max_seq_length": 8, "mask_prompt": True},
        rows=LONG,
    ),
    "a learning rate that is no number": Bad("learning_rate", {"learning_rate": "nan"}),
    "layer keys that nobody knows": Bad("no layer called wings", {"lora": {"keys": ["wings"]}}),
}

WAYS = [Asked.by_page, Asked.by_rest, Asked.by_command]
ways = pytest.mark.parametrize("way", WAYS, ids=["page", "REST", "command"])


@ways
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_bad_input_is_refused_by_its_name(
    base: LocalModel, data: Path, way: Callable[[Asked], str], bad: Bad
) -> None:
    if bad.rows is not None:
        write_rows(data / "train.jsonl", bad.rows)
    assert bad.told in way(Asked(data, settings=bad.settings))
    assert not TrainingJob.objects.exists()


@ways
def test_a_model_that_is_not_here_is_told(
    base: LocalModel, data: Path, way: Callable[[Asked], str]
) -> None:
    assert "elsewhere" in way(Asked(data, model="elsewhere"))
    LocalModel.objects.update(path=data / "gone")
    assert "can&#x27;t be read" in way(Asked(data))
    assert not TrainingJob.objects.exists()


@ways
def test_a_disk_without_room_is_told(
    base: LocalModel, data: Path, way: Callable[[Asked], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "SPARE_DISK", 2**62)
    assert "are free on the disk" in way(Asked(data))
    assert not TrainingJob.objects.exists()


@pytest.mark.usefixtures("queued")
def test_one_row_is_enough_to_begin_with(base: LocalModel, data: Path) -> None:
    write_rows(data / "train.jsonl", rows(1))
    order = {"model": "base", "data": str(data), "name": "One"}
    response = Client().post("/api/training/jobs", order, "application/json")
    assert response.status_code == 202, response.content
    assert response.json()["settings"]["batch_size"] == 1
