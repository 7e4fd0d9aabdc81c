"""A model or a dataset on its way here, as its row tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models import Count, Q, Sum
from django.urls import reverse

from apps.datasets.models import Dataset
from apps.discovery.snapshot import RemoteFile, Snapshot
from apps.jobs.models import ACTIVE, Job, JobQuerySet, JobState
from apps.models.models import LocalModel, validate_slug

UNFINISHED = (JobState.QUEUED, JobState.RUNNING, JobState.PAUSED)
OVER = (JobState.DONE, JobState.CANCELLED)
"""What stopped short otherwise may go on."""


@dataclass(frozen=True)
class Queue:
    """All that is on its way, taken together."""

    running: int
    waiting: int
    stopped: int
    """Failed, interrupted or paused."""
    bytes_done: int
    bytes_total: int
    """Of those that run or wait."""
    rate: float

    @property
    def is_active(self) -> bool:
        return bool(self.running or self.waiting)

    @property
    def percent(self) -> int:
        return 100 * self.bytes_done // self.bytes_total if self.bytes_total else 0

    @property
    def seconds_left(self) -> float | None:
        return (self.bytes_total - self.bytes_done) / self.rate if self.rate > 0 else None


class DownloadQuerySet(JobQuerySet["Download"]):
    def newest_first(self) -> DownloadQuerySet:
        return self.select_related("model", "dataset").order_by("-pk")

    def of_name(self, repo_type: str, slug: str) -> DownloadQuerySet:
        """Those that became, or are to become, the model or dataset of this name."""
        return self.filter(repo_type=repo_type, slug=slug)

    def in_turn(self) -> DownloadQuerySet:
        """The one to begin next first."""
        return self.order_by("rank", "pk")

    def unfinished(self) -> DownloadQuerySet:
        """Downloads that run, wait or are paused: their partial files are in use."""
        return self.filter(state__in=UNFINISHED)

    def keeping(self) -> DownloadQuerySet:
        """Downloads whose partial files are to stay: unfinished ones, and those that stopped short."""
        return self.exclude(state__in=OVER)

    def queue(self) -> Queue:
        """What the status bar says of it; one query."""
        active = Q(state__in=ACTIVE)
        sums = self.keeping().aggregate(
            running=Count("pk", filter=Q(state=JobState.RUNNING)),
            waiting=Count("pk", filter=Q(state=JobState.QUEUED)),
            stopped=Count("pk", filter=~active),
            bytes_done=Sum("bytes_done", filter=active, default=0),
            bytes_total=Sum("bytes_total", filter=active, default=0),
            rate=Sum("rate", filter=Q(state=JobState.RUNNING), default=0.0),
        )
        return Queue(**sums)

    def attention(self) -> DownloadQuerySet:
        """What is not over, and what stopped short and may go on; running ones first."""
        first = models.Case(
            models.When(state=JobState.RUNNING, then=0),
            models.When(state=JobState.QUEUED, then=1),
            default=2,
        )
        return self.keeping().order_by(first, "rank", "pk")

    def over(self) -> DownloadQuerySet:
        """What came and what was cancelled, the latest first."""
        return (
            self.filter(state__in=OVER)
            .select_related("model", "dataset")
            .order_by("-finished_at", "-pk")
        )


class Download(Job):
    """One revision of a repository that is to become a model or a dataset of this hub.

    What it holds is fixed when it is ordered: the commit, and with it the files, their
    sizes and checksums. So it can go on at any time, and never mixes two revisions.
    """

    class RepoType(models.TextChoices):
        MODEL = "model", "Model"
        DATASET = "dataset", "Dataset"

    repo_type = models.CharField(max_length=16, choices=RepoType, default=RepoType.MODEL)
    repo_id = models.CharField(max_length=200)
    revision = models.CharField(
        max_length=200, blank=True, help_text="What was asked for; empty: the newest."
    )
    commit = models.CharField(max_length=40)
    slug = models.CharField(
        max_length=120, validators=[validate_slug], help_text="What it is to be called here."
    )
    selection: models.JSONField[Any, Any] = models.JSONField(
        default=dict,
        help_text="Of a dataset: its name here, configuration, and the split of each file.",
    )
    files: models.JSONField[Any, Any] = models.JSONField(
        default=list, help_text="Name, size and checksum of each file, in the order to fetch."
    )
    bytes_total = models.BigIntegerField()
    bytes_done = models.BigIntegerField(default=0)
    rate = models.FloatField(default=0.0, help_text="Bytes per second of late; 0: none came.")
    rank = models.IntegerField(default=0, help_text="The lowest of those that wait is next.")
    place = models.PositiveSmallIntegerField(
        null=True, help_text="Which of the few that run at once it is."
    )
    model = models.ForeignKey(
        LocalModel, null=True, on_delete=models.SET_NULL, related_name="downloads"
    )
    dataset = models.ForeignKey(
        Dataset, null=True, on_delete=models.SET_NULL, related_name="downloads"
    )

    objects = DownloadQuerySet.as_manager()

    class Meta:
        ordering = ("-pk",)
        constraints = (
            models.UniqueConstraint(
                fields=("place",), condition=Q(state=JobState.RUNNING), name="one_download_a_place"
            ),
            models.UniqueConstraint(
                fields=("repo_type", "slug"),
                condition=Q(state__in=UNFINISHED),
                name="one_unfinished_download_a_name",
            ),
        )
        indexes = (models.Index("repo_id", name="download_by_repository"),)

    def __str__(self) -> str:
        return f"{self.repo_id} as {self.slug}"

    def get_absolute_url(self) -> str:
        """Its place on the Downloads page."""
        return f"{reverse('downloads:home')}#download-{self.pk}"

    @property
    def snapshot(self) -> Snapshot:
        files = tuple(RemoteFile(**one) for one in self.files)
        return Snapshot(self.repo_id, self.commit, files, "dataset" if self.is_data else "model")

    @property
    def is_data(self) -> bool:
        """Whether it brings a dataset."""
        return self.repo_type == self.RepoType.DATASET

    def asks_for(self, revision: str | None) -> bool:
        """Whether it is known, without asking the hub, to bring what ``revision`` names."""
        return (revision or "") in (self.revision, self.commit)

    @property
    def bytes_left(self) -> int:
        return max(0, self.bytes_total - self.bytes_done)

    @property
    def seconds_left(self) -> float | None:
        """At the present rate; None where it does not run, or nothing comes."""
        if self.state != JobState.RUNNING or self.rate <= 0:
            return None
        return self.bytes_left / self.rate

    @property
    def rate_now(self) -> float:
        """Bytes per second; 0 where it does not run."""
        return self.rate if self.state == JobState.RUNNING else 0.0

    @property
    def doing_now(self) -> str:
        """What it does or waits for, in words."""
        if self.state == JobState.QUEUED:
            return "Waits for the worker, or for the downloads before it"
        return self.doing if self.state == JobState.RUNNING else ""

    @property
    def is_shown(self) -> bool:
        """Whether it is on its way, or stopped short of it."""
        return self.state not in OVER

    @property
    def headline(self) -> str:
        """What went wrong, in a few words, where something did."""
        return "It was interrupted" if self.state == JobState.INTERRUPTED else "It failed"

    @property
    def tone(self) -> str:
        """How loud the error is: what is interrupted can simply go on."""
        return "warn" if self.state == JobState.INTERRUPTED else ""
