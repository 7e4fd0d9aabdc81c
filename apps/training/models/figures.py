"""Every figure that the runs of training jobs tell: curves, what they come to, and samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from apps.training.models.jobs import TrainingJob


class MetricQuerySet(models.QuerySet["Metric"]):
    def series(self, job: TrainingJob, name: str) -> MetricQuerySet:
        """One curve, in the order of its steps."""
        return self.filter(job=job, name=name).order_by("step")


class Metric(models.Model):
    """One point of one curve. A run that goes on from a checkpoint tells some points again."""

    class Name(models.TextChoices):
        LOSS = "loss", "training loss"
        VALIDATION = "validation_loss", "validation loss"
        TEST = "test_loss", "test loss"
        RATE = "learning_rate", "learning rate"
        NORM = "gradient_norm", "gradient norm"
        SPEED = "tokens_per_second", "tokens per second"
        MEMORY = "peak_memory", "peak memory"
        SECONDS = "seconds", "seconds of training"
        CHOSEN = "chosen_reward", "reward of chosen answers"
        REJECTED = "rejected_reward", "reward of rejected answers"
        MARGIN = "reward_margin", "reward margin"
        ACCURACY = "reward_accuracy", "reward accuracy"
        VALIDATION_MARGIN = "validation_margin", "validation reward margin"
        VALIDATION_ACCURACY = "validation_accuracy", "validation reward accuracy"

    job = models.ForeignKey(
        "training.TrainingJob", on_delete=models.CASCADE, related_name="metrics"
    )
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


class MetricSpan(models.Model):
    """What the points of some neighbouring steps of a curve come to, spikes included.

    A long curve is drawn from these, so that a chart's answer costs the same however
    many points there are.
    """

    SIZES = (32, 32**2, 32**3)
    """Steps that a span covers; each is made of those of the size before."""

    job = models.ForeignKey("training.TrainingJob", on_delete=models.CASCADE, related_name="spans")
    name = models.CharField(max_length=20, choices=Metric.Name)
    size = models.PositiveIntegerField()
    start = models.PositiveIntegerField(help_text="First step; a multiple of the size.")
    low = models.FloatField()
    high = models.FloatField()
    total = models.FloatField()
    count = models.PositiveIntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("job", "name", "size", "start"), name="one_span_of_a_metric_per_place"
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.low:g} to {self.high:g} from step {self.start}"


class Sample(models.Model):
    """What the model answered to a chosen prompt at one step."""

    job = models.ForeignKey(
        "training.TrainingJob", on_delete=models.CASCADE, related_name="samples"
    )
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
