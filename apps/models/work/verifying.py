"""Jobs that look whether a model's files are still what was registered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.utils import timezone

from apps.jobs.conduct import Report
from apps.models.models import LocalModel
from apps.models.runtime.digest import FileDigest, digest_files, digest_of
from apps.models.runtime.errors import ModelFormatError
from apps.models.work.making import model_of
from apps.models.work.models import ModelJob


def verify(job: ModelJob, report: Report) -> None:
    """The work of a verification: reads every file. What it finds is the model's ``damage``."""
    model = model_of(job)
    try:
        found = digest_files(
            Path(model.path), lambda done: report("reading and comparing files", done)
        )
    except ModelFormatError as error:
        damage, changes = str(error), {}
    else:
        changes = _changes(model.files, found) if model.files else {}
        damage = _damage(model, found, changes)
    if not damage and not model.files:
        # Registered before digests of single files were kept; the whole agrees.
        model.files = {name: {"size": f.size, "sha256": f.sha256} for name, f in found.items()}
    model.verified_at, model.damage = timezone.now(), damage
    model.save(update_fields=["verified_at", "damage", "files"])
    job.figures = {"damage": damage, "files": len(model.files), **changes}
    job.save(update_fields=["figures"])


def _changes(
    registered: Mapping[str, Mapping[str, Any]], found: Mapping[str, FileDigest]
) -> dict[str, list[str]]:
    """Names of the files that differ, are gone, and are new."""
    both = registered.keys() & found.keys()
    return {
        "changed": sorted(
            name for name in both if found[name].sha256 != registered[name]["sha256"]
        ),
        "missing": sorted(registered.keys() - found.keys()),
        "added": sorted(found.keys() - registered.keys()),
    }


def _damage(
    model: LocalModel, found: Mapping[str, FileDigest], changes: Mapping[str, list[str]]
) -> str:
    """What is not as it was registered, in words; empty where all is."""
    if digest_of(found) == model.digest:
        return ""
    parts = [f"{what}: {', '.join(names)}" for what, names in changes.items() if names]
    what = "; ".join(parts) or "which one is not known, since it was registered by an older hub"
    return (
        f"Files differ from what was registered ({what}). If you changed them on purpose, register "
        "the folder again; else download or import the model again."
    )
