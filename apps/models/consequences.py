"""What deleting a model or an adapter takes along, for people to read before they do it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from django.conf import settings

from apps.models import landing
from apps.models.models import Adapter, LocalModel
from apps.models.signals import deletion_considered
from apps.models.work.models import ModelJob


@dataclass(frozen=True)
class Consequence:
    """One thing that goes, changes or stands in the way."""

    text: str
    """A whole sentence."""
    prevents: bool = False
    """The deletion is refused as long as this holds."""


@dataclass(frozen=True)
class Deletion:
    """A deletion as it would be."""

    freed_bytes: int
    """On disk; 0 where the files stay."""
    consequences: tuple[Consequence, ...]

    @property
    def is_possible(self) -> bool:
        return not any(each.prevents for each in self.consequences)


def deletion_of(model: LocalModel, adapter: Adapter | None = None) -> Deletion:
    """What it would mean to delete ``model``, or only its ``adapter``."""
    return Deletion(_freed(model, adapter), consequences_of(model, adapter))


def consequences_of(model: LocalModel, adapter: Adapter | None = None) -> tuple[Consequence, ...]:
    """What goes, changes or stands in the way, here and with those who build on the registry."""
    own = _of_adapter(adapter) if adapter is not None else _of_model(model)
    others: list[Consequence] = []
    for _, found in deletion_considered.send(LocalModel, model=model, adapter=adapter):
        others += cast("list[Consequence]", found)
    return (*own, *others)


def owns_files(model: LocalModel) -> bool:
    """Whether its folder is the hub's own; files elsewhere are never deleted."""
    return Path(model.path) == landing.home(model.slug)


def owns_adapter_files(adapter: Adapter) -> bool:
    """Whether the adapter's folder lies in the hub's own adapters folder."""
    path = Path(adapter.path)
    return path.parent == Path(settings.HUB.adapters_dir) and not path.is_symlink()


def bytes_under(folder: Path) -> int:
    """Bytes that files in ``folder`` take on disk; links are not followed."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).lstat().st_size
            except OSError:  # gone meanwhile
                continue
    return total


def _freed(model: LocalModel, adapter: Adapter | None) -> int:
    if adapter is not None:
        return bytes_under(Path(adapter.path)) if owns_adapter_files(adapter) else 0
    return bytes_under(Path(model.path)) if owns_files(model) else 0


def _of_model(model: LocalModel) -> list[Consequence]:
    found = []
    if not owns_files(model):
        found.append(Consequence(f"Its files stay in {model.path}: they are not the hub's own."))
    if adapters := [adapter.name for adapter in model.adapters.all()]:
        found.append(
            Consequence(
                f"{_named('adapter', adapters)} built on it. Delete {_them(adapters)} first.",
                prevents=True,
            )
        )
    if drafted := list(model.drafts_for.values_list("name", flat=True)):
        found.append(
            Consequence(f"It drafts for others, which go on without: {', '.join(drafted)}.")
        )
    if model.alias:
        found.append(Consequence(f"API calls that name {model.alias} will be refused."))
    if derived := list(model.derivatives.values_list("name", flat=True)):
        found.append(
            Consequence(f"What was made from it stays, without its lineage: {', '.join(derived)}.")
        )
    if model.source == LocalModel.Source.STARTER:
        found.append(Consequence("It does not come back by itself when the hub starts."))
    if ModelJob.objects.active().filter(model=model).exists():
        found.append(Consequence("A job is at work on it. Cancel that first.", prevents=True))
    return found


def _of_adapter(adapter: Adapter) -> list[Consequence]:
    found = [Consequence(f"API calls that name {adapter} will be refused.")]
    if not owns_adapter_files(adapter):
        found.append(Consequence(f"Its files stay in {adapter.path}: they are not the hub's own."))
    if fused := list(adapter.fused_into.values_list("name", flat=True)):
        found.append(Consequence(f"What it was fused into stays: {', '.join(fused)}."))
    if successors := list(adapter.successors.values_list("name", flat=True)):
        found.append(
            Consequence(
                f"What was trained on from it stays, without its lineage: {', '.join(successors)}."
            )
        )
    return found


def _named(noun: str, names: list[str]) -> str:
    one = len(names) == 1
    return f"{noun.capitalize()}{'' if one else 's'} {', '.join(names)} {'is' if one else 'are'}"


def _them(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"
