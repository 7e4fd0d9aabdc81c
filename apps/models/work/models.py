"""A piece of long work on a model, as its row tells it."""

from __future__ import annotations

from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.urls import reverse

from apps.jobs.models import HeavyJob, JobQuerySet
from apps.models.models import LocalModel


class ModelJobQuerySet(JobQuerySet["ModelJob"]):
    def of(self, model: LocalModel) -> ModelJobQuerySet:
        """The jobs on this model, and the one that made it; the newest first."""
        mine = models.Q(model=model) | models.Q(result=model)
        return self.filter(mine).order_by("-pk")

    def newest_first(self) -> ModelJobQuerySet:
        return self.select_related("model", "result").order_by("-pk")

    def heavy(self) -> ModelJobQuerySet:
        """Those that hold a model in memory, and take turns with every other job that does."""
        return self.filter(kind__in=HEAVY)

    def light(self) -> ModelJobQuerySet:
        """Those that wait for nobody."""
        return self.exclude(kind__in=HEAVY)


class ModelJob(HeavyJob):
    """One import, conversion, fusion, export or verification, from its order to its figures."""

    class Kind(models.TextChoices):
        IMPORT = "import", "import"
        CONVERT = "convert", "conversion"
        FUSE = "fuse", "fusion"
        EXPORT = "export", "export"
        VERIFY = "verify", "verification"

    kind = models.CharField(max_length=16, choices=Kind)
    subject = models.CharField(
        max_length=200, help_text="What it works on, in words; outlives what it names."
    )
    plan: models.JSONField[Any, Any] = models.JSONField(
        default=dict, encoder=DjangoJSONEncoder, help_text="What was ordered."
    )
    model = models.ForeignKey(
        LocalModel,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="jobs",
        help_text="The model it works on. Empty: none yet, or it is deleted.",
    )
    result = models.ForeignKey(
        LocalModel,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="made_by",
        help_text="The model it made.",
    )
    figures: models.JSONField[Any, Any] = models.JSONField(
        default=dict, encoder=DjangoJSONEncoder, help_text="What it measured or found."
    )

    objects = ModelJobQuerySet.as_manager()

    class Meta:
        verbose_name = "model job"
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.subject}"

    def get_absolute_url(self) -> str:
        return reverse("models:job", args=[self.pk])

    @property
    def is_heavy(self) -> bool:
        """Whether it takes turns with others."""
        return self.kind in HEAVY


HEAVY = (ModelJob.Kind.CONVERT, ModelJob.Kind.FUSE)
"""The kinds that hold a model in memory."""
