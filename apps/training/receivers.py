"""What training answers to the apps below it."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from apps.datasets.models import DatasetVersion
from apps.datasets.signals import dataset_uses
from apps.jobs.models import JobState
from apps.training.models import TrainingJob

_GOES_ON = (JobState.QUEUED, JobState.RUNNING, JobState.PAUSED)


@receiver(dataset_uses)
def jobs_that_need_it(*, versions: list[DatasetVersion], **_: Any) -> list[str]:
    """The trainings that still read one of the versions."""
    jobs = TrainingJob.objects.filter(dataset__in=versions, state__in=_GOES_ON)
    return [f"The training {job.name} is {job.state} and reads it." for job in jobs]
