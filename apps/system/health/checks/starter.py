"""The starter model could be registered, and its files are where they were."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import DatabaseError

from apps.models.models import LocalModel
from apps.models.runtime.starter import find_starter
from apps.models.starter import STARTER_SLUG, last_failure, starter_declined
from apps.system.health.findings import Finding

_AGAIN = (
    "Restart the hub, which tries again; or leave it out with `MLXHUB_STARTER=0` and get a model "
    "with `mlx-hub pull`."
)


def check() -> Finding:
    """What became of the model that a new hub begins with."""
    if not settings.HUB.starter or starter_declined():
        return Finding("ok", "Not wanted.")
    try:
        path = LocalModel.objects.filter(slug=STARTER_SLUG).values_list("path", flat=True).first()
    except DatabaseError:
        return Finding("degraded", "Not known: the database does not answer.", "Mend the database.")
    if path is None:
        return _missing()
    if not (Path(path) / "config.json").is_file():
        return Finding("degraded", f"Its files are gone from {path}.", f"Delete it. {_AGAIN}")
    return Finding("ok", "Registered.")


def _missing() -> Finding:
    if failure := last_failure():
        return Finding("degraded", f"It could not be registered: {failure}", _AGAIN)
    if find_starter() is None:
        return Finding("ok", "Its package is not installed.")
    return Finding("degraded", "It is not registered yet.", _AGAIN)
