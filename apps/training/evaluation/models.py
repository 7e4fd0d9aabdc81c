"""Evaluations, and what each subject said to each row."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.urls import reverse

from apps.datasets.models import DatasetVersion
from apps.jobs.models import Job, JobQuerySet
from apps.training.evaluation.material import Question
from apps.training.evaluation.plan import Plan


class PromptSet(models.Model):
    """Prompts that are asked again and again, under a name."""

    name = models.CharField(max_length=100, unique=True)
    prompts: models.JSONField[Any, Any] = models.JSONField(help_text="A list of texts.")

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return f"{self.name} ({len(self.prompts)})"


class EvaluationQuerySet(JobQuerySet["Evaluation"]):
    def newest_first(self) -> EvaluationQuerySet:
        return self.select_related("dataset__dataset").order_by("-pk")

    def listed(self) -> EvaluationQuerySet:
        """Without the questions, which may be long."""
        return self.newest_first().defer("questions")


class Evaluation(Job):
    """Some models and adapters, asked the same."""

    plan: models.JSONField[Any, Any] = models.JSONField(help_text="A plan.Plan.")
    dataset = models.ForeignKey(
        DatasetVersion,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="evaluations",
        help_text="Whose rows are asked; empty: none, or it is deleted.",
    )
    questions: models.JSONField[Any, Any] = models.JSONField(
        default=list, help_text="What is answered: material.Questions, chosen once."
    )
    lines: models.JSONField[Any, Any] = models.JSONField(
        default=list, help_text="Indices of the rows whose likelihood is measured."
    )

    objects = EvaluationQuerySet.as_manager()

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"Evaluation {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("evaluations:detail", args=[self.pk])

    @property
    def ordered(self) -> Plan:
        return Plan.model_validate(self.plan)

    @property
    def subjects(self) -> list[str]:
        names: list[str] = self.plan["subjects"]
        return names

    @property
    def asked(self) -> list[Question]:
        return [Question.model_validate(each) for each in self.questions]

    @property
    def calls(self) -> int:
        """Of the engine, from the first to the last."""
        return len(self.subjects) * (len(self.questions) + len(self.lines))


class Finding(models.Model):
    """What one subject made of one row: its likelihood, or an answer to it."""

    evaluation = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="findings")
    subject = models.PositiveSmallIntegerField(help_text="Index in the plan's subjects.")
    answers = models.BooleanField(help_text="Whether it answers a question; else a likelihood.")
    row = models.PositiveIntegerField(help_text="Index of the question, or of the line.")
    loss = models.FloatField(null=True, help_text="Mean of -ln p over the tokens.")
    tokens = models.PositiveIntegerField(null=True)
    text = models.TextField(blank=True)
    passed = models.BooleanField(null=True, help_text="Empty: there is nothing to judge it by.")
    error = models.TextField(blank=True, help_text="Why the row could not be asked.")

    class Meta:
        ordering = ("row", "subject")
        constraints = (
            models.UniqueConstraint(
                fields=("evaluation", "answers", "row", "subject"),
                name="one_finding_of_a_subject_per_row",
            ),
        )

    def __str__(self) -> str:
        return f"{self.evaluation}, row {self.row}, subject {self.subject}"
