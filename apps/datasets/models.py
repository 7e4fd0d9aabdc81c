"""Datasets, their versions, and the jobs that make them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.urls import reverse

from apps.datasets.errors import DatasetNotFound
from apps.datasets.formats.store.reading import RowFiles
from apps.jobs.models import Job, JobQuerySet
from apps.models.models import validate_slug


class DatasetQuerySet(models.QuerySet["Dataset"]):
    """Datasets, read with the version that each stands for."""

    def newest_first(self) -> DatasetQuerySet:
        """All of them, as pages and the API list them."""
        return self.select_related("head").order_by("-pk")

    def named(self, slug: str) -> Dataset:
        """Raises DatasetNotFound."""
        dataset = self.select_related("head").filter(slug=slug).first()
        if dataset is None:
            raise DatasetNotFound(
                f"There is no dataset {slug!r}. `mlx-hub data list` shows those there are."
            )
        return dataset


class Dataset(models.Model):
    """A name, and the version that it stands for now."""

    slug = models.CharField(max_length=120, unique=True, validators=[validate_slug])
    name = models.CharField(max_length=200)
    source = models.CharField(max_length=1000, blank=True, help_text="Where it came from.")
    head = models.ForeignKey(
        "DatasetVersion", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = DatasetQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("datasets:detail", args=[self.slug])

    def version(self, number: int | None) -> DatasetVersion:
        """A version by its number; the present one where there is none. Raises DatasetNotFound."""
        found = self.head if number is None else self.versions.filter(number=number).first()
        if found is None:
            which = "no version yet" if number is None else f"no version {number}"
            raise DatasetNotFound(f"{self.name} has {which}. Wait for its import, or start one.")
        return found


class DatasetVersion(models.Model):
    """Rows as they were at one moment. Never changed; an edit makes another version."""

    class Kind(models.TextChoices):
        UNMAPPED = "unmapped", "Columns to be mapped"
        CHAT = "chat", "Conversations"
        COMPLETION = "completion", "Prompts and completions"
        TEXT = "text", "Plain text"
        PREFERENCE = "preference", "Preference pairs"

    UNSIGNED = "owner"
    """The author where nobody has to sign in: the person whose machine it is."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField(help_text="Counts the versions of its dataset, from 1.")
    parent = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="children"
    )
    digest = models.CharField(
        max_length=64, db_index=True, help_text="SHA-256 of its rows; its folder's name."
    )
    kind = models.CharField(max_length=16, choices=Kind)
    change = models.CharField(max_length=300, help_text="What made it of its parent, in words.")
    train_rows = models.PositiveIntegerField()
    valid_rows = models.PositiveIntegerField(default=0)
    test_rows = models.PositiveIntegerField(default=0)
    nbytes = models.PositiveBigIntegerField()
    facts: models.JSONField[Any, Any] = models.JSONField(
        default=dict,
        encoder=DjangoJSONEncoder,
        help_text="A formats.statistics.Statistics; of an import also what was found in the file.",
    )
    author = models.CharField(max_length=150, blank=True, help_text="Who ordered the change.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-number",)
        constraints = (
            models.UniqueConstraint(
                fields=("dataset", "number"), name="one_version_of_a_dataset_per_number"
            ),
        )

    def __str__(self) -> str:
        return f"{self.dataset.name}, version {self.number}"

    @property
    def folder(self) -> Path:
        """Where its rows are, in mlx-lm's shape."""
        return Path(settings.HUB.datasets_dir) / self.digest

    @property
    def files(self) -> RowFiles:
        return RowFiles(self.folder)

    @property
    def signed_by(self) -> str:
        """Who signed in and ordered it; empty where nobody has to, which tells nothing."""
        return "" if self.author == self.UNSIGNED else self.author

    @property
    def rows(self) -> int:
        return self.train_rows + self.valid_rows + self.test_rows

    @property
    def origin(self) -> DatasetVersion:
        """The version that the import made, which this one goes back to."""
        parents = dict(self.dataset.versions.values_list("pk", "parent"))
        key = self.pk
        while (parent := parents.get(key)) is not None:
            key = parent
        return self if key == self.pk else self.dataset.versions.get(pk=key)

    @property
    def is_mapped(self) -> bool:
        return self.kind != self.Kind.UNMAPPED


class DatasetJobQuerySet(JobQuerySet["DatasetJob"]):
    """Jobs on datasets."""

    def of(self, dataset: Dataset) -> DatasetJobQuerySet:
        """Those on one dataset, the newest first."""
        return self.filter(dataset=dataset).select_related("result").order_by("-pk")

    def newest_first(self) -> DatasetJobQuerySet:
        """Those on any dataset."""
        return self.select_related("dataset", "result").order_by("-pk")


class DatasetJob(Job):
    """One import, change or examination of a dataset, from its order to its figures."""

    class Kind(models.TextChoices):
        IMPORT = "import", "import"
        MAP = "map", "mapping"
        DROP = "drop", "removal of rows"
        MASK = "mask", "masking"
        EDIT = "edit", "edit of rows"
        SPLIT = "split", "split"
        SAMPLE = "sample", "sample"
        MERGE = "merge", "merge"
        NEAR = "near", "search for near duplicates"
        TOKENS = "tokens", "token count"
        LANGUAGES = "languages", "look at languages"

    kind = models.CharField(max_length=16, choices=Kind)
    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="jobs")
    base = models.ForeignKey(
        DatasetVersion,
        null=True,
        on_delete=models.SET_NULL,
        related_name="jobs",
        help_text="The version that it works on; empty for an import.",
    )
    plan: models.JSONField[Any, Any] = models.JSONField(
        default=dict, encoder=DjangoJSONEncoder, help_text="What was ordered."
    )
    result = models.ForeignKey(
        DatasetVersion,
        null=True,
        on_delete=models.SET_NULL,
        related_name="made_by",
        help_text="The version that it made.",
    )
    ordered_by = models.CharField(max_length=150, blank=True)
    upload = models.CharField(
        max_length=1000,
        blank=True,
        help_text="The hub's own file that an import reads: no other import is ordered for it.",
    )
    figures: models.JSONField[Any, Any] = models.JSONField(
        default=dict, encoder=DjangoJSONEncoder, help_text="What it found."
    )

    objects = DatasetJobQuerySet.as_manager()

    class Meta:
        ordering = ("-pk",)
        constraints = (
            models.UniqueConstraint(
                fields=("upload",), condition=~models.Q(upload=""), name="one_import_an_upload"
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.dataset}"

    def get_absolute_url(self) -> str:
        """The page of what it works on."""
        return self.dataset.get_absolute_url()
