"""Curves in few points, however long they are: thinned in the database, no spike lost.

Beside the points the database keeps what each 32, 1,024 and 32,768 steps come to. A
curve is read from the largest spans that are fine enough for the picture, so an answer
reads at most 32 rows for each of its points.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import Count, F, Max, Min, QuerySet, Sum, Value

from apps.training.models import Metric, MetricSpan, TrainingJob

POINTS = 500
"""Of a curve, unless somebody asks for more or fewer: about one for each two pixels."""


@dataclass(frozen=True)
class Curve:
    """Parallel lists. Where a point stands for several steps, ``step`` is their first."""

    step: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]


def curve(job: TrainingJob, name: str, *, points: int = POINTS) -> Curve:
    """One curve in at most ``points`` points and one."""
    whole = list(Metric.objects.series(job, name).values_list("step", "value")[: points + 1])
    if len(whole) <= points:
        values = [value for _, value in whole]
        return Curve([step for step, _ in whole], values, values, values)
    last = Metric.objects.series(job, name).values_list("step", flat=True).last() or 0
    return _thinned(job, name, width=-(-(last - whole[0][0] + 1) // points))


def refresh_spans(job: TrainingJob, steps: Set[int]) -> None:
    """Count the spans anew that these steps of any curve lie in. Call it in a transaction."""
    if not steps:
        return
    below = 1
    for size in MetricSpan.SIZES:
        first, end = min(steps) // size * size, (max(steps) // size + 1) * size
        MetricSpan.objects.bulk_create(
            [
                MetricSpan(
                    job=job,
                    name=place.name,
                    size=size,
                    start=place.start,
                    low=place.low,
                    high=place.high,
                    total=place.total,
                    count=place.points,
                )
                for place in _places(_rows(job, below, first, end), below, size)
            ],
            update_conflicts=True,
            unique_fields=("job", "name", "size", "start"),
            update_fields=("low", "high", "total", "count"),
        )
        below = size


class _Place(NamedTuple):
    """Some neighbouring steps of one curve."""

    name: str
    start: int
    low: float
    high: float
    total: float
    points: int


def _thinned(job: TrainingJob, name: str, *, width: int) -> Curve:
    size = max((size for size in MetricSpan.SIZES if size <= width), default=1)
    rows = _rows(job, size).filter(name=name)
    places = _places(rows, size, -(-width // size) * size)
    return Curve(
        [place.start for place in places],
        [place.total / place.points for place in places],
        [place.low for place in places],
        [place.high for place in places],
    )


def _rows(job: TrainingJob, size: int, first: int = 0, end: int | None = None) -> QuerySet[Any]:
    """The spans of ``size`` steps from ``first`` to before ``end``; the points for size 1."""
    rows: QuerySet[Any] = (
        Metric.objects.filter(job=job)
        if size == 1
        else MetricSpan.objects.filter(job=job, size=size)
    )
    if end is None:
        return rows
    step = _step(size)
    return rows.filter(**{f"{step}__gte": first, f"{step}__lt": end})


def _places(rows: QuerySet[Any], size: int, width: int) -> list[_Place]:
    """Rows of ``size`` steps, put together into places of ``width`` steps, in their order."""
    figures = (
        (Min("value"), Max("value"), Sum("value"), Count("value"))
        if size == 1
        else (Min("low"), Max("high"), Sum("total"), Sum("count"))
    )
    found = (
        # Whole numbers divided give whole numbers, in SQLite and PostgreSQL alike.
        rows.annotate(place=F(_step(size)) / Value(width) * Value(width))
        .values("name", "place")
        .annotate(**dict(zip(("least", "most", "sum", "points"), figures, strict=True)))
        .order_by("name", "place")
        .values_list("name", "place", "least", "most", "sum", "points")
    )
    return [_Place(*row) for row in found]


def _step(size: int) -> str:
    return "step" if size == 1 else "start"
