"""A piece of long work on a model, as its row tells it."""

from __future__ import annotations

from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from apps.jobs.models import Job, JobQuerySet
from apps.models.models import LocalModel


class ModelJobQuerySet(JobQuerySet["ModelJob"]):
    def of(self, model: LocalModel) -> ModelJobQuerySet:
        """The jobs on this model, and the one that made it; the newest first."""
        mine = models.Q(model=model) | models.Q(result=model)
        return self.filter(mine).order_by("-pk")

    def newest_first(self) -> ModelJobQuerySet:
        return self.select_related("model", "result").order_by("-pk")


class ModelJob(Job):
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
