"""Between a form's fields, as people write them, and a training job's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.training.models import TrainingJob
from apps.training.orders import settings_of
from apps.training.sources import name_of
from apps.training.starts import adapter_named

NESTED = "__"
"""Between the names of a group and its field: ``lora__rank``."""

_YES_OR_NO = ("gradient_checkpointing", "test")
"""What is a choice of its own while neither is chosen."""

_NO_SETTINGS = ("model", "folder", "name", "config")
"""Fields that say what the settings are for, or hold them all."""


def nested(cleaned: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a form's fields hold; empty ones are left out. Raises BadOrder."""
    settings: dict[str, Any] = {}
    for name, value in cleaned.items():
        if value in ("", None, False) or name in _NO_SETTINGS:
            continue
        group, inside, field = name.partition(NESTED)
        home = settings.setdefault(group, {}) if inside else settings
        home[field if inside else name] = _understood(name, value)
    return settings


def flat(settings: Mapping[str, Any], *, with_empty: bool = False) -> dict[str, Any]:
    """The form's fields that settings fill, as they are written there. Raises BadOrder.

    ``with_empty``: also those that are to be empty.
    """
    fields: dict[str, Any] = {}
    for name, value in settings.items():
        if name in ("lora", "schedule") and isinstance(value, Mapping):
            inside = {f"{name}{NESTED}{key}": each for key, each in value.items()}
            fields |= {key: _written(key, each) for key, each in inside.items()}
        else:
            fields[name] = _written(name, value)
    if with_empty:
        return {name: "" if value is None else value for name, value in fields.items()}
    return {name: value for name, value in fields.items() if value is not None}


def initial_of(job: TrainingJob) -> dict[str, Any]:
    """What a form shows that is to order the same again."""
    base = {"model": job.base.slug} if job.base else {}
    settings = job.settings
    if job.start_adapter is None:
        settings = {**settings, "resume_adapter_file": None}
    return flat(settings) | base | {"folder": name_of(job.dataset) if job.dataset else job.data}


def _understood(name: str, value: Any) -> Any:
    if name == "prompts":
        return [line.strip() for line in value.splitlines() if line.strip()]
    if name == "lora__keys":
        return value.replace(",", " ").split()
    if name == "optimizer_options":
        return settings_of("{" + value + "}")
    if name in _YES_OR_NO:
        return value == "true"
    return value


def _written(name: str, value: Any) -> Any:
    if name == "prompts":
        return "\n".join(value)
    if name == "lora__keys" and value is not None:
        return ", ".join(value)
    if name == "optimizer_options":
        return ", ".join(f"{key}: {each}" for key, each in value.items())
    if name in _YES_OR_NO:
        return "true" if value else "false"
    if name == "resume_adapter_file" and value is not None:
        return str(adapter_named(value))
    return value
