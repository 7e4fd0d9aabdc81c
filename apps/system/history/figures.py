"""The charts of the System page: which series, in which unit, and what they are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

from django.template.defaultfilters import filesizeformat

from apps.system.history.grains import EVERY, Range
from apps.system.history.reading import Course

Unit = Literal["bytes", "percent", "seconds", "number"]


@dataclass(frozen=True)
class Figure:
    """One chart. ``series``: names, or beginnings that end in a colon, with what they are called.

    ``scale``: what values are multiplied with.
    """

    key: str
    label: str
    unit: Unit
    series: Sequence[tuple[str, str]]
    stacked: bool = False
    scale: float = 1.0


FIGURES = (
    Figure(
        "owners",
        "Engine memory by owner",
        "bytes",
        (
            ("memory.weights:", "Weights of {}"),
            ("memory.live_kv", "Live KV"),
            ("memory.prompt_cache", "Prompt cache"),
            ("memory.held:", "{}"),
            ("memory.other", "Other"),
        ),
        stacked=True,
    ),
    Figure(
        "machine",
        "Machine memory",
        "bytes",
        (("machine.memory", "In use"), ("machine.swap", "Swap"), ("accelerator.memory", "GPU")),
    ),
    Figure(
        "use",
        "Processor and accelerator",
        "percent",
        (("machine.cpu", "Processor"), ("accelerator.use", "Accelerator")),
    ),
    Figure("ttft", "Time to first token", "seconds", (("answers.ttft", "TTFT"),)),
    Figure(
        "rate",
        "Tokens per second",
        "number",
        (("engine.tokens", "Engine, all answers"), ("answers.rate", "Each answer")),
    ),
    Figure(
        "batch",
        "Batch and queue",
        "number",
        (("engine.active", "In the batch"), ("engine.queued", "Waiting")),
    ),
    Figure(
        "requests",
        "API requests per minute",
        "number",
        (("requests.count", "All"), ("requests.failed", "Failed (5xx)")),
        scale=60 / EVERY,
    ),
    Figure("processes", "Memory of processes", "bytes", (("process.memory:", "{}"),)),
    Figure("disk", "Disk free", "bytes", (("disk.free", "Data folder"),)),
)


@dataclass(frozen=True)
class Line:
    """One series of a chart, in its unit."""

    label: str
    course: Course
    unit: Unit
    scale: float
    tone: int
    """Which of the chart's colours it has, whatever other lines there are just now."""

    @property
    def figures(self) -> Iterator[str]:
        """Now, lowest, mean and highest, as the table has them."""
        course = self.course
        for value in (course.latest, course.lowest, course.average, course.highest):
            yield readable(value * self.scale, self.unit)


@dataclass(frozen=True)
class Chart:
    figure: Figure
    lines: tuple[Line, ...]


def charts(courses: Mapping[str, Course]) -> list[Chart]:
    """Those that have something to show."""
    found = [Chart(figure, tuple(_lines(figure, courses))) for figure in FIGURES]
    return [chart for chart in found if chart.lines]


def _lines(figure: Figure, courses: Mapping[str, Course]) -> Iterator[Line]:
    further = count(len(figure.series))
    for tone, (name, label) in enumerate(figure.series):
        if not name.endswith(":"):
            if name in courses:
                yield Line(label, courses[name], figure.unit, figure.scale, tone)
            continue
        for nth, series in enumerate(sorted(each for each in courses if each.startswith(name))):
            which, own = series.removeprefix(name), next(further) if nth else tone
            yield Line(label.format(which), courses[series], figure.unit, figure.scale, own)


def plotted(shown: Range, found: Sequence[Chart], *, now: float) -> dict[str, Any]:
    """What the page's script draws: of each chart columns on one axis of times, null in gaps."""
    end = int(now) // shown.grain * shown.grain
    at = list(range(end - shown.seconds + shown.grain, end + 1, shown.grain))
    return {
        "at": at,
        "charts": {
            chart.figure.key: {
                "unit": chart.figure.unit,
                "stacked": chart.figure.stacked,
                "lines": [_columns(line, at) for line in chart.lines],
            }
            for chart in found
        },
    }


def _columns(line: Line, at: Sequence[int]) -> dict[str, Any]:
    course = line.course
    place = {moment: index for index, moment in enumerate(course.at)}
    found = [place.get(moment) for moment in at]

    def column(values: Sequence[float]) -> list[float | None]:
        return [None if index is None else values[index] * line.scale for index in found]

    columns: dict[str, Any] = {
        "label": line.label,
        "tone": line.tone,
        "mean": column(course.mean),
    }
    if course.low != course.high:
        columns |= {"low": column(course.low), "high": column(course.high)}
    return columns


def readable(value: float, unit: Unit) -> str:
    """A value with its unit, for tables."""
    match unit:
        case "bytes":
            return filesizeformat(value)
        case "percent":
            return f"{value:.0f} %"
        case "seconds":
            return f"{value:.2f} s"
    return f"{value:,.1f}"
