"""Writing what was just seen, and with it what all longer spans come to.

A longer span is counted anew from the next shorter ones whenever one of them changes. So
it holds their lowest and highest value whoever is killed when, and nothing is kept in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from django.db import transaction

from apps.system.history.grains import EVERY, RANGES, Range
from apps.system.history.models import Sample

SLACK = 1.1
"""A range is kept a little longer than it is shown, so that no chart begins with a gap."""


def record(seen: Mapping[str, Sequence[float]], *, at: float) -> None:
    """Write figures by series, as of ``at`` (seconds since the epoch); forget what is too old.

    A series may have several figures at once, such as one for each answer, or none.
    """
    start = int(at) // EVERY * EVERY
    rows = [_sample(series, start, values) for series, values in seen.items() if values]
    with transaction.atomic():
        _write(rows)
        for finer, coarser in pairwise(RANGES):
            _refresh(finer.grain, coarser.grain, start)
        for each in RANGES:
            _forget(each, int(at))


def _sample(series: str, start: int, values: Sequence[float]) -> Sample:
    return Sample(
        series=series[:160],
        grain=EVERY,
        at=start,
        low=min(values),
        high=max(values),
        total=sum(values),
        count=len(values),
    )


def _refresh(finer: int, coarser: int, at: int) -> None:
    start = at // coarser * coarser
    spans = Sample.objects.between(finer, start, start + coarser).put_together(coarser)
    _write(
        [
            Sample(
                series=span["series"],
                grain=coarser,
                at=span["place"],
                low=span["least"],
                high=span["most"],
                total=span["sum"],
                count=span["points"],
            )
            for span in spans
        ]
    )


def _write(rows: Sequence[Sample]) -> None:
    Sample.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=("grain", "at", "series"),
        update_fields=("low", "high", "total", "count"),
    )


def _forget(kept: Range, now: int) -> None:
    Sample.objects.filter(grain=kept.grain, at__lt=now - int(kept.seconds * SLACK)).delete()
