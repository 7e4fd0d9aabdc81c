"""A comparison's columns, and which answer is whose."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse

from apps.playground.models import MAX_SEED, Conversation, Message

MOST_COLUMNS = 4


class Comparison(models.Model):
    """What makes a conversation one that is answered in columns."""

    conversation = models.OneToOneField(
        Conversation, on_delete=models.CASCADE, primary_key=True, related_name="comparison"
    )

    class Meta:
        ordering = ("-conversation__updated_at",)

    def __str__(self) -> str:
        return f"Comparison: {self.conversation}"

    def get_absolute_url(self) -> str:
        return reverse("compare:comparison", args=[self.pk])


class Column(models.Model):
    """Who answers in one column, and how. The fields are a conversation's."""

    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="columns")
    position = models.PositiveSmallIntegerField()
    model = models.ForeignKey(
        "models.LocalModel", on_delete=models.SET_NULL, null=True, related_name="+"
    )
    adapter = models.ForeignKey(
        "models.Adapter", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    temperature = models.FloatField(
        default=0.3, validators=[MinValueValidator(0.0), MaxValueValidator(2.0)]
    )
    top_p = models.FloatField(
        default=0.9, validators=[MinValueValidator(0.01), MaxValueValidator(1.0)]
    )
    repetition_penalty = models.FloatField(
        default=1.0, validators=[MinValueValidator(0.1), MaxValueValidator(2.0)]
    )
    max_tokens = models.PositiveIntegerField(
        null=True, blank=True, default=1024, validators=[MinValueValidator(1)]
    )
    seed = models.PositiveBigIntegerField(
        null=True, blank=True, validators=[MaxValueValidator(MAX_SEED)]
    )

    class Meta:
        ordering = ("position",)
        constraints = (
            models.UniqueConstraint(
                fields=("comparison", "position"), name="one_column_per_position"
            ),
        )

    def __str__(self) -> str:
        return self.name or f"Column {self.position + 1}"

    @property
    def name(self) -> str:
        """As API calls have it; empty where the model is deleted."""
        if self.adapter is not None:
            return str(self.adapter)
        return self.model.slug if self.model is not None else ""


class ColumnAnswer(models.Model):
    """Whose an answer is: a model may stand in two columns with other settings."""

    message = models.OneToOneField(
        Message, on_delete=models.CASCADE, primary_key=True, related_name="column_answer"
    )
    column = models.ForeignKey(Column, on_delete=models.CASCADE, related_name="answers")

    def __str__(self) -> str:
        return f"{self.column}: {self.message}"
