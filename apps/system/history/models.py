"""One series of figures over one span of time."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import F, Max, Min, Sum, Value


class SampleQuerySet(models.QuerySet["Sample"]):
    def between(self, grain: int, first: int, end: int) -> SampleQuerySet:
        """Spans of ``grain`` seconds that begin from ``first`` to before ``end``."""
        return self.filter(grain=grain, at__gte=first, at__lt=end)

    def put_together(self, width: int) -> list[dict[str, Any]]:
        """These spans as spans of ``width`` seconds: lowest, highest, sum and count kept."""
        # Whole numbers divided give whole numbers, in SQLite and PostgreSQL alike.
        placed = self.order_by().annotate(place=F("at") / Value(width) * Value(width))
        spans = placed.values("series", "place").annotate(
            least=Min("low"), most=Max("high"), sum=Sum("total"), points=Sum("count")
        )
        return [dict(span) for span in spans]


class Sample(models.Model):
    """What a series came to in one span; of the finest grain mostly a single look."""

    series = models.CharField(max_length=160)
    grain = models.PositiveIntegerField(help_text="Seconds.")
    at = models.BigIntegerField(help_text="The span's beginning, in seconds since the epoch.")
    low = models.FloatField()
    high = models.FloatField()
    total = models.FloatField()
    count = models.PositiveIntegerField()

    objects = SampleQuerySet.as_manager()

    class Meta:
        constraints = (
            # In the order in which a range of time is read.
            models.UniqueConstraint(fields=("grain", "at", "series"), name="one_sample_a_span"),
        )

    def __str__(self) -> str:
        return f"{self.series} at {self.at} for {self.grain} s"
