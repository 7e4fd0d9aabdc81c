"""Training jobs, and every figure that their runs tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models

from apps.jobs.models import Job, JobQuerySet
from apps.models.models import Adapter, LocalModel, validate_slug


class TrainingJobQuerySet(JobQuerySet["TrainingJob"]):
    def newest_first(self) -> TrainingJobQuerySet:
        return self.select_related("base", "adapter__base").order_by("-pk")


class TrainingJob(Job):
    """One fine-tuning, from its order to the adapter that it leaves."""

    name = models.CharField(max_length=200, help_text="What the adapter is called.")
    slug = models.CharField(
        max_length=120, validators=[validate_slug], help_text="Its name in API calls."
    )
    base = models.ForeignKey(
        LocalModel,
        null=True,
        on_delete=models.SET_NULL,
        related_name="trainings",
        help_text="Empty: the model is deleted.",
    )
    base_name = models.CharField(max_length=200, help_text="Outlives the base model.")
    data = models.CharField(
        max_length=1000, help_text="Folder with train.jsonl and, if there is one, valid.jsonl."
    )
    settings: models.JSONField[Any, Any] = models.JSONField(
        help_text="A trainer.config.TrainingConfig without model and data."
    )
    step = models.PositiveIntegerField(default=0, help_text="Batches computed so far.")
    steps = models.PositiveIntegerField(help_text="Batches to compute.")
    facts: models.JSONField[Any, Any] = models.JSONField(
        default=dict, help_text="What the trainer found: a trainer.events.Started."
    )
    rows: models.JSONField[Any, Any] = models.JSONField(
        default=dict, help_text="The best and worst validation rows of the newest evaluation."
    )
    ending = models.CharField(max_length=20, blank=True, help_text="Why the run ended, if it did.")
    fault = models.CharField(max_length=40, blank=True, help_text="Kind of the failure, if any.")
    events_read = models.PositiveBigIntegerField(
        default=0, help_text="Bytes of the run's events that are in the database."
    )
    adapter = models.ForeignKey(
        Adapter,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="trainings",
        help_text="What it made.",
    )

    objects = TrainingJobQuerySet.as_manager()

    class Meta:
        verbose_name = "training job"
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"Training {self.pk}: {self.name}"

    @property
    def run(self) -> Path:
        """The folder that it shares with its trainer."""
        return Path(settings.HUB.runs_dir) / str(self.pk)


class MetricQuerySet(models.QuerySet["Metric"]):
    def series(self, job: TrainingJob, name: str) -> MetricQuerySet:
        """One curve, in the order of its steps."""
        return self.filter(job=job, name=name).order_by("step")


class Metric(models.Model):
    """One point of one curve. A run that goes on from a checkpoint tells some points again."""

    class Name(models.TextChoices):
        LOSS = "loss", "training loss"
        VALIDATION = "validation_loss", "validation loss"
        RATE = "learning_rate", "learning rate"
        NORM = "gradient_norm", "gradient norm"
        SPEED = "tokens_per_second", "tokens per second"
        MEMORY = "peak_memory", "peak memory"

    job = models.ForeignKey(TrainingJob, on_delete=models.CASCADE, related_name="metrics")
    name = models.CharField(max_length=20, choices=Name)
    step = models.PositiveIntegerField()
    value = models.FloatField()

    objects = MetricQuerySet.as_manager()

    class Meta:
        constraints = (
            # Also the index that a curve is read by.
            models.UniqueConstraint(
                fields=("job", "name", "step"), name="one_value_of_a_metric_per_step"
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.value:g} at step {self.step}"


class Sample(models.Model):
    """What the model answered to a chosen prompt at one step."""

    job = models.ForeignKey(TrainingJob, on_delete=models.CASCADE, related_name="samples")
    step = models.PositiveIntegerField()
    prompt = models.PositiveIntegerField(help_text="Index in the job's prompts.")
    text = models.TextField()

    class Meta:
        ordering = ("prompt", "step")
        constraints = (
            models.UniqueConstraint(
                fields=("job", "prompt", "step"), name="one_sample_of_a_prompt_per_step"
            ),
        )

    def __str__(self) -> str:
        return f"Prompt {self.prompt} at step {self.step}"
