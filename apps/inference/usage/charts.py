"""The course of usage over time, as the history chart draws it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any


@dataclass(frozen=True)
class Figure:
    """Something that can be drawn: one line for each of ``lines`` (a label and a sum's name)."""

    key: str
    label: str
    unit: str
    lines: Sequence[tuple[str, str]]


FIGURES = (
    Figure(
        "tokens",
        "Tokens",
        "",
        (
            ("Prompt", "prompt_tokens"),
            ("Answer", "completion_tokens"),
            ("From the cache", "cached_tokens"),
        ),
    ),
    Figure("requests", "Requests", "", (("All", "requests"), ("Failed", "failed"))),
    Figure("ttft", "Time to first token", "s", (("Mean", "time_to_first_token"),)),
    Figure("rate", "Tokens per second", "", (("Mean", "tokens_per_second"),)),
)


def figure_of(key: str) -> Figure:
    """The figure of this key; the first one where there is none such."""
    return next((figure for figure in FIGURES if figure.key == key), FIGURES[0])


@dataclass(frozen=True)
class Course:
    """A figure over every hour or day of a range, also those that have no request."""

    figure: Figure
    rows: Sequence[Mapping[str, Any]]

    def plotted(self) -> dict[str, Any]:
        """What the chart's script draws: columns of times (epoch seconds) and values."""
        times = [row["at"].timestamp() for row in self.rows]
        lines = [[row[name] for row in self.rows] for _, name in self.figure.lines]
        return {
            "unit": self.figure.unit,
            "target": None,
            "servers": [label for label, _ in self.figure.lines],
            "data": [times, *lines],
        }


def course(
    figure: Figure, sums: Sequence[Mapping[str, Any]], *, days: tuple[date, date], hourly: bool
) -> Course:
    """``sums`` as RequestRecord.objects.by_time gives them; gaps are filled."""
    known = {row["at"]: row for row in sums}
    rows = [known.get(at, _nothing(at)) for at in _periods(days, hourly=hourly)]
    return Course(figure, rows)


def _periods(days: tuple[date, date], *, hourly: bool) -> Iterator[datetime]:
    at = datetime.combine(days[0], time.min, UTC)
    end = datetime.combine(days[1], time.min, UTC) + timedelta(days=1)
    while at < end:
        yield at
        at += timedelta(hours=1) if hourly else timedelta(days=1)


def _nothing(at: datetime) -> dict[str, Any]:
    counts = ("requests", "failed", "prompt_tokens", "cached_tokens", "completion_tokens")
    means = ("time_to_first_token", "tokens_per_second")
    return {"at": at} | dict.fromkeys(counts, 0) | dict.fromkeys(means)
