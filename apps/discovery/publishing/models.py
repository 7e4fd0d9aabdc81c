"""Publications: what goes to which repository, and how far it is."""

from __future__ import annotations

from django.db import models
from django.urls import reverse
from django.utils.http import urlencode

from apps.jobs.models import Job, JobQuerySet
from apps.models.models import Adapter, LocalModel


class PublicationQuerySet(JobQuerySet["Publication"]):
    def newest_first(self) -> PublicationQuerySet:
        return self.select_related("model", "adapter__base").order_by("-pk")


class Publication(Job):
    """One upload, from its order to its commit."""

    model = models.ForeignKey(
        LocalModel,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="What is published, or what the adapter lies over. Empty: it is deleted.",
    )
    adapter = models.ForeignKey(
        Adapter,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="What is published, if it is an adapter.",
    )
    subject = models.CharField(max_length=250, help_text="Its name in API calls; outlives it.")
    of_adapter = models.BooleanField(default=False, help_text="Whether it is of an adapter.")
    repo_id = models.CharField(max_length=200, help_text="As OWNER/NAME.")
    private = models.BooleanField(default=True)
    existing = models.BooleanField(
        default=False, help_text="Whether the repository may be there already."
    )
    sent_bytes = models.BigIntegerField(default=0)
    total_bytes = models.BigIntegerField(default=0)
    commit_url = models.CharField(max_length=500, blank=True)

    objects = PublicationQuerySet.as_manager()

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"{self.subject} to {self.repo_id}"

    def get_absolute_url(self) -> str:
        """Its place on the Publish page."""
        return f"{reverse('publishing:home')}#publication-{self.pk}"

    @property
    def is_gone(self) -> bool:
        """Whether what was to be published is deleted here."""
        return self.model is None or (self.of_adapter and self.adapter is None)

    @property
    def order_query(self) -> str:
        """What was ordered, as the query that fills the form with it."""
        given = {"what": self.subject, "repo_id": self.repo_id}
        flags = {"private": self.private, "existing": self.existing}
        return urlencode(given | {name: int(flag) for name, flag in flags.items()})
