"""One measure of one model over time: a line for each server that it was measured on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.inference.benchmarks.charts import Measured, rate, seconds
from apps.inference.benchmarks.measuring.figures import Turn
from apps.inference.models import THIS_HUB

GIB = 1024**3


def _bytes(value: float) -> str:
    return f"{value / GIB:.2f} GiB"


@dataclass(frozen=True)
class Measure:
    """A number that a run has or has not. ``form`` writes it with its unit."""

    key: str
    label: str
    of: Callable[[Measured], float | None] = field(repr=False)
    form: Callable[[float], str] = field(repr=False)
    unit: str
    scale: float = 1.0
    """Of the plotted values: milliseconds for seconds."""
    has_target: bool = False


def _turn(key: str, label: str, turn: Turn) -> Measure:
    def value(one: Measured) -> float | None:
        figure = one.figures.turn(turn)
        return figure.seconds.median if figure else None

    return Measure(key, label, value, seconds, "ms", 1000.0, has_target=turn == "warm")


def _rate(clients: int) -> Measure:
    def value(one: Measured) -> float | None:
        level = one.figures.at(clients)
        return level.tokens_per_second.median if level else None

    words = f"{clients} client{'' if clients == 1 else 's'}"
    return Measure(f"rate-{clients}", f"Tokens per second, {words}", value, rate, "tokens/s")


def _gap(clients: int) -> Measure:
    def value(one: Measured) -> float | None:
        level = one.figures.at(clients)
        return level.gap_p95.median if level else None

    words = f"{clients} client{'' if clients == 1 else 's'}"
    return Measure(f"gap-{clients}", f"Time between tokens p95, {words}", value, seconds, "ms", 1e3)


MEASURES = (
    _turn("warm", "Time to first token, same system prompt", "warm"),
    _turn("cold", "Time to first token, new prompt", "cold"),
    _turn("repeat", "Time to first token, exact repeat", "repeat"),
    _turn("next-turn", "Time to first token, next turn", "next_turn"),
    *(_rate(clients) for clients in (1, 2, 4, 8, 16)),
    *(_gap(clients) for clients in (1, 4, 8)),
    Measure(
        "memory",
        "Peak memory of the engine",
        lambda one: one.run.peak_memory_bytes,
        _bytes,
        "GiB",
        1 / GIB,
    ),
)


def measure_of(key: str) -> Measure:
    """The measure of this key; the first one where there is none such."""
    return next((measure for measure in MEASURES if measure.key == key), MEASURES[0])


@dataclass(frozen=True)
class Point:
    measured: Measured
    value: float
    text: str


@dataclass(frozen=True)
class History:
    """``points`` are in the order of time."""

    measure: Measure
    points: Sequence[Point]
    target: float | None

    @property
    def target_text(self) -> str:
        return "" if self.target is None else self.measure.form(self.target)

    def plotted(self) -> dict[str, Any]:
        """What the chart's script draws: columns of times (epoch seconds) and values."""
        servers = list(dict.fromkeys(point.measured.run.target for point in self.points))
        # The first line has the accent colour, and that is this hub's.
        servers.sort(key=lambda server: server != THIS_HUB)
        times = [_when(point) for point in self.points]
        scale = self.measure.scale
        columns = [
            [
                round(point.value * scale, 4) if point.measured.run.target == server else None
                for point in self.points
            ]
            for server in servers
        ]
        return {
            "unit": self.measure.unit,
            "target": None if self.target is None else self.target * scale,
            "servers": servers,
            "data": [times, *columns],
        }


def _when(point: Point) -> float:
    moment = point.measured.run.finished_at or point.measured.run.created_at
    return round(moment.timestamp(), 3)


def history(runs: Sequence[Measured], measure: Measure) -> History:
    """The measure over ``runs``, which come in the order of time."""
    points = [
        Point(one, value, measure.form(value))
        for one in runs
        if (value := measure.of(one)) is not None
    ]
    targets = [one.target for one in runs if one.target is not None]
    return History(measure, points, targets[-1] if targets and measure.has_target else None)
