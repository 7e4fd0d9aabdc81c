"""From a run's result to an adapter in the registry, whole at every moment."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from django.conf import settings

from apps.models.models import Adapter
from apps.models.services import register_adapter
from apps.training.errors import RunFailed
from apps.training.models import TrainingJob

_FILES = ("adapter_config.json", "adapters.safetensors")


def land_adapter(job: TrainingJob) -> Adapter:
    """Copy the run's adapter to where the hub keeps adapters, and register it.

    A job that was resumed replaces the adapter that it left before. Raises RunFailed
    where the base is gone, RegistryError, RuntimeFault.
    """
    if job.base is None:
        raise RunFailed(
            f"{job.base_name} was deleted during the run. The adapter is in {job.run / 'adapter'}.",
            "base_deleted",
        )
    folder = Path(settings.HUB.adapters_dir) / f"training-{job.pk}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        staged = folder / f".{name}.new"
        shutil.copyfile(job.run / "adapter" / name, staged)
        with staged.open("rb") as file:
            os.fsync(file.fileno())
        staged.rename(folder / name)
    return register_adapter(base=job.base, path=folder, slug=job.slug, name=job.name)
