"""From a run's result to an adapter or a model in the registry, whole at every moment."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from django.conf import settings

from apps.models import landing
from apps.models.models import Adapter, LocalModel
from apps.models.services import Lineage, adopt_folder, register_adapter
from apps.training.errors import RunFailed
from apps.training.models import TrainingJob

_FILES = ("adapter_config.json", "adapters.safetensors")

_WHOLE = frozenset({"finished", "early_stopping", "stopped"})
"""Endings that have a result. ``abandoned`` is no end: whoever comes next goes on."""


def land(job: TrainingJob) -> None:
    """Register what the run left, and write it to the job's row.

    An adapter is replaced when its job goes on. A model is not, since somebody may use it:
    a job that left one leaves another then. Raises RunFailed, RegistryError, RuntimeFault.
    """
    if job.config.method != "full":
        job.adapter = _land_adapter(job)
    elif job.ending in _WHOLE:
        job.result = _land_model(job)
    job.save(update_fields=["adapter", "result"])


def _land_adapter(job: TrainingJob) -> Adapter:
    """Copy the run's adapter to where the hub keeps adapters, and register it.

    A job that was resumed replaces the adapter that it left before.
    """
    base = _base(job, "adapter")
    folder = Path(settings.HUB.adapters_dir) / f"training-{job.pk}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        staged = folder / f".{name}.new"
        shutil.copyfile(job.run / "adapter" / name, staged)
        with staged.open("rb") as file:
            os.fsync(file.fileno())
        staged.rename(folder / name)
    return register_adapter(
        base=base, path=folder, slug=job.slug, name=job.name, parent=job.start_adapter
    )


def _land_model(job: TrainingJob) -> LocalModel:
    """Move the run's model to where the hub keeps its own, and register it.

    A worker that is killed meanwhile leaves a run that writes it again from its last
    checkpoint.
    """
    base = _base(job, "model")
    with landing.exclusive(job.slug):
        known = LocalModel.objects.filter(slug=job.slug, path=str(landing.home(job.slug))).first()
        if known is not None and known.source == LocalModel.Source.TRAINED:
            # It was killed between the model's row and its own.
            return known
        files = landing.waiting(job.slug)
        shutil.move(job.run / "model", files)
        return adopt_folder(
            files=files,
            slug=job.slug,
            name=job.name,
            source=LocalModel.Source.TRAINED,
            lineage=Lineage(base, "all weights trained"),
        )


def _base(job: TrainingJob, what: str) -> LocalModel:
    if job.base is None:
        raise RunFailed(
            f"{job.base_name} was deleted during the run. The {what} is in {job.run / what}.",
            "base_deleted",
        )
    return job.base
