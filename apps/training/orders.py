"""From what somebody asked for to a whole configuration: theirs first, then what suits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings as hub_settings

from apps.models.models import LocalModel
from apps.training.errors import BadOrder
from apps.training.material import look
from apps.training.room import this_room
from apps.training.services import configured
from apps.training.starts import start_of, with_its_settings
from apps.training.suggestions import Subject, suggest
from apps.training.trainer.config import TrainingConfig
from apps.training.trainer.errors import BadConfig
from apps.training.trainer.mlx_lm_yaml import read_yaml


def completed(*, base: LocalModel, data: Path, settings: dict[str, Any]) -> TrainingConfig:
    """``settings`` with what they leave out chosen for model, data and machine.

    Raises BadOrder.
    """
    # What was asked for has to make sense by itself: nothing is chosen around a mistake.
    asked = configured(base=base, data=data, settings=settings)
    start = start_of(asked)
    if start is not None:
        settings = with_its_settings(start, settings)
        asked = configured(base=base, data=data, settings=settings)
    material = look(Path(asked.data), Path(base.path))
    suited = suggest(
        Subject.of(base), material, this_room().machine, asked.method, settings.get("objective")
    )
    suited["test"] = material.test_rows > 0
    hosts = [str(host) for host in hub_settings.HUB.training_hosts]
    if 1 < len(hosts) <= settings.get("batch_size", suited["batch_size"]):
        suited["hosts"] = hosts
    # Reports and checkpoints are as often as the run's own length wants it.
    if "iters" in settings:
        suited |= {name: max(asked.iters // parts, 1) for name, parts in _EVERY.items()}
    return configured(base=base, data=data, settings=suited | settings)


_EVERY = {"steps_per_report": 100, "steps_per_eval": 10, "steps_per_save": 10}
"""How often in a run."""


def settings_of(text: str) -> dict[str, Any]:
    """The settings in mlx-lm's YAML, without model and data. Raises BadOrder."""
    try:
        given = read_yaml(text)
    except BadConfig as error:
        raise BadOrder(str(error)) from error
    return {name: value for name, value in given.items() if name not in ("model", "data")}
