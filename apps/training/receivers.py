"""What training answers to the apps below it."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from apps.datasets.models import DatasetVersion
from apps.datasets.signals import dataset_uses
from apps.jobs.models import JobState
from apps.models.consequences import Consequence
from apps.models.models import Adapter, LocalModel
from apps.models.signals import deletion_considered
from apps.training.models import TrainingJob
from apps.training.starts import KEPT

_GOES_ON = (JobState.QUEUED, JobState.RUNNING, JobState.PAUSED)


@receiver(dataset_uses)
def jobs_that_need_it(*, versions: list[DatasetVersion], **_: Any) -> list[str]:
    """The trainings that still read one of the versions."""
    jobs = TrainingJob.objects.filter(dataset__in=versions, state__in=_GOES_ON)
    return [f"The training {job.name} is {job.state} and reads it." for job in jobs]


@receiver(deletion_considered, sender=LocalModel)
def jobs_that_start_from_it(*, adapter: Adapter | None, **_: Any) -> list[Consequence]:
    """The trainings that are to go on from an adapter and have not read it yet."""
    if adapter is None:
        return []
    jobs = adapter.successor_trainings.filter(state__in=_GOES_ON)
    return [
        Consequence(f"The training {job.name} is to go on from it. Cancel that first.", True)
        for job in jobs
        if not (job.run / KEPT).exists()
    ]
