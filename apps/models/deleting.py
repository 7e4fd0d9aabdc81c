"""Deleting models and adapters: the rows, and the files where they are the hub's own."""

from __future__ import annotations

import shutil
from pathlib import Path

from django.db.models import ProtectedError

from apps.models import landing
from apps.models.consequences import consequences_of, owns_adapter_files
from apps.models.errors import ModelInUse
from apps.models.models import Adapter, LocalModel
from apps.models.signals import deletion_begins
from apps.models.starter import decline_starter


def delete_model(*, model: LocalModel) -> None:
    """Remove a model from the registry, and its files where they are the hub's own.

    Files elsewhere stay. Whoever uses it lets go of it first. Raises ModelInUse where
    somebody can't, and where a consequence prevents it, such as adapters built on it.
    """
    home = landing.home(model.slug)
    with landing.exclusive(model.slug):
        _require_possible(model, None)
        deletion_begins.send(LocalModel, model=model, adapter=None)
        if model.source == LocalModel.Source.STARTER:
            decline_starter()
        own = Path(model.path) == home and home.is_dir()
        if own:
            home.rename(landing.waiting(model.slug))
        try:
            model.delete()
        except ProtectedError as error:
            raise ModelInUse(
                f"{model.name} has adapters built on it. Delete its adapters first."
            ) from error
        finally:
            landing.settle(model.slug)


def delete_adapter(*, adapter: Adapter) -> None:
    """Remove an adapter from the registry, and its files where they are the hub's own.

    Whoever uses it lets go of it first. Raises ModelInUse where somebody can't, and where
    a consequence prevents it.
    """
    _require_possible(adapter.base, adapter)
    deletion_begins.send(LocalModel, model=adapter.base, adapter=adapter)
    own = owns_adapter_files(adapter)
    # The row first: files without a row are found on the Disk page, a row without files lies.
    adapter.delete()
    if own:
        shutil.rmtree(adapter.path, ignore_errors=True)


def _require_possible(model: LocalModel, adapter: Adapter | None) -> None:
    prevents = [each.text for each in consequences_of(model, adapter) if each.prevents]
    if prevents:
        raise ModelInUse(" ".join(prevents))
