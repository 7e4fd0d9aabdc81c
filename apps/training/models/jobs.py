"""Training jobs, and the sweeps that some are ordered in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import OuterRef, Subquery
from django.urls import reverse

from apps.datasets.models import DatasetVersion
from apps.jobs.models import HeavyJob, JobQuerySet
from apps.models.models import Adapter, LocalModel, validate_slug
from apps.training.models.figures import Metric
from apps.training.trainer.config import TrainingConfig


class TrainingJobQuerySet(JobQuerySet["TrainingJob"]):
    def newest_first(self) -> TrainingJobQuerySet:
        return self.select_related(
            "base",
            "adapter__base",
            "result",
            "dataset__dataset",
            "sweep",
            "after",
            "start_adapter__base",
        ).order_by("-pk")

    def in_line(self) -> TrainingJobQuerySet:
        """With what a job's turn depends on."""
        return self.select_related("base", "after")

    def with_loss(self) -> TrainingJobQuerySet:
        """Jobs with their newest training loss as ``loss``; None: there is none yet."""
        losses = Metric.objects.filter(job=OuterRef("pk"), name=Metric.Name.LOSS).order_by("-step")
        return self.annotate(loss=Subquery(losses.values("value")[:1]))

    def with_best(self) -> TrainingJobQuerySet:
        """Jobs with their lowest validation loss as ``best``; None: nothing was evaluated."""
        losses = Metric.objects.filter(job=OuterRef("pk"), name=Metric.Name.VALIDATION)
        return self.annotate(best=Subquery(losses.order_by("value").values("value")[:1]))


class Sweep(models.Model):
    """Jobs that differ in a few settings, ordered together to be compared."""

    name = models.CharField(max_length=200)
    grid: models.JSONField[Any, Any] = models.JSONField(
        help_text='Values to try, by dotted names of TrainingConfig: {"lora.rank": [4, 8]}.'
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("training:sweep", args=[self.pk])


class TrainingJob(HeavyJob):
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
    dataset = models.ForeignKey(
        DatasetVersion,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="trainings",
        help_text="Whose rows lie there; empty: a folder that the hub does not look after.",
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
    result = models.ForeignKey(
        LocalModel,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="The model that full fine-tuning made.",
    )

    start_adapter = models.ForeignKey(
        Adapter,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="successor_trainings",
        help_text="What it goes on from; empty: nothing, or it is deleted.",
    )
    test: models.JSONField[Any, Any] = models.JSONField(
        default=dict,
        help_text="What its result came to on the test rows: a trainer.events.Measured.",
    )

    sweep = models.ForeignKey(
        Sweep,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="trainings",
        help_text="What it was ordered with.",
    )
    after = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="followers",
        help_text="It waits until this one is over, however that ends.",
    )
    self_resuming = models.BooleanField(
        default=True, help_text="Whether it goes on by itself where a process of its died."
    )
    finishing = models.BooleanField(
        default=False, help_text="Whether it is to save what it has learnt, and end there."
    )
    deaths = models.PositiveSmallIntegerField(
        default=0, help_text="Of its processes, since it last got further than before."
    )
    died_at = models.PositiveIntegerField(
        default=0, help_text="Furthest step at which one of them died."
    )

    objects = TrainingJobQuerySet.as_manager()

    class Meta:
        verbose_name = "training job"
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"Training {self.pk}: {self.name}"

    def get_absolute_url(self) -> str:
        return reverse("training:detail", args=[self.pk])

    @property
    def short_name(self) -> str:
        return self.name

    @property
    def run(self) -> Path:
        """The folder that it shares with its trainer."""
        return Path(settings.HUB.runs_dir) / str(self.pk)

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is something to go on from, or to leave as a result."""
        return any((self.run / "checkpoints").glob("[0-9]*"))

    @property
    def config(self) -> TrainingConfig:
        """Its settings with the model's folder and the data's."""
        model = self.base.path if self.base else ""
        return TrainingConfig.model_validate(self.settings | {"model": model, "data": self.data})

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it by itself; a paused one still waits for somebody."""
        return not self.is_active and self.state != self.State.PAUSED

    @property
    def is_stopped(self) -> bool:
        """Whether it saved what it had learnt before it was through."""
        return self.state == self.State.DONE and self.ending == "stopped"

    @property
    def is_resumable(self) -> bool:
        return super().is_resumable or self.is_stopped

    @property
    def hindrance(self) -> str:
        if self.after is not None and not self.after.is_over:
            state = "paused" if self.after.state == self.State.PAUSED else "not over yet"
            return f"waits for {self.after.name}, which is {state}"
        return super().hindrance

    @property
    def api_name(self) -> str:
        """What API calls name that which it made; empty as long as there is nothing."""
        if self.result is not None:
            return self.result.slug
        return str(self.adapter) if self.adapter is not None else ""


class StepTiming(HeavyJob):
    """A few steps of a job that is not ordered yet, timed on this machine."""

    base = models.ForeignKey(LocalModel, on_delete=models.CASCADE, related_name="step_timings")
    data = models.CharField(max_length=1000, help_text="Whose rows it took some of.")
    settings: models.JSONField[Any, Any] = models.JSONField(
        help_text="A trainer.config.TrainingConfig without model and data."
    )
    shape = models.CharField(
        max_length=64, db_index=True, help_text="Digest of what a step's time depends on."
    )
    length = models.FloatField(default=0.0, help_text="Mean tokens of the rows it took.")
    seconds = models.FloatField(null=True, help_text="Of a step.")
    peak_memory = models.BigIntegerField(null=True, help_text="Bytes, of the whole process.")

    objects = JobQuerySet.as_manager()

    class Meta:
        verbose_name = "step timing"
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"Timing of a step of {self.base}"

    def get_absolute_url(self) -> str:
        return reverse("training:new")
