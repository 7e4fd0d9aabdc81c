"""How far MLflow knows a training job."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.db import models
from django.utils import timezone

from apps.training.models import TrainingJob

AGAIN_AFTER = timedelta(hours=1)
"""A run that MLflow refused is told again after that."""


class TrackedRunQuerySet(models.QuerySet["TrackedRun"]):
    def refused_lately(self) -> TrackedRunQuerySet:
        return self.filter(refused_at__gt=timezone.now() - AGAIN_AFTER)


class TrackedRun(models.Model):
    """One job in one MLflow store, and what was told of it there.

    MLflow takes a value of a curve once more without asking: the same step would stand
    there twice. So how far each curve was told is kept, and, while some of it is under way,
    which part that is. A process that dies meanwhile leaves the part for the next one to
    ask MLflow about.
    """

    job = models.ForeignKey(TrainingJob, on_delete=models.CASCADE, related_name="tracked")
    store = models.CharField(max_length=500, help_text="The store's address, without credentials.")
    key = models.UUIDField(
        default=uuid.uuid4, help_text="The run's tag in MLflow, by which it is found again."
    )
    run_id = models.CharField(max_length=64, blank=True, help_text="Empty: not made yet.")
    steps: models.JSONField[Any, Any] = models.JSONField(
        default=dict, help_text="By curve, the last step that was told."
    )
    under_way: models.JSONField[Any, Any] = models.JSONField(
        default=dict, help_text="By curve, the last step of what is being told."
    )
    events = models.PositiveBigIntegerField(
        null=True, help_text="The job's events_read that was told whole; null: none."
    )
    state = models.CharField(max_length=16, blank=True, help_text="The job's state as told.")
    adapter = models.CharField(max_length=80, blank=True, help_text="Digest of the one told.")
    error = models.TextField(blank=True, help_text="Why it is behind; empty: it is not.")
    refused_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True, help_text="When it was last up to date.")

    objects = TrackedRunQuerySet.as_manager()

    class Meta:
        verbose_name = "tracked run"
        constraints = (
            models.UniqueConstraint(fields=("job", "store"), name="one_run_of_a_job_in_a_store"),
        )

    def __str__(self) -> str:
        return f"{self.job} in {self.store}"

    def knows(self, job: TrainingJob) -> bool:
        """Whether everything that ``job``'s row says was told."""
        adapter = job.adapter.digest if job.adapter else ""
        told = (self.events, self.state, self.adapter)
        return told == (job.events_read, job.state, adapter)
