"""Runs as bar charts: tables whose rows have a bar, laid out in per cent of its cell.

The numbers stand beside the bars, so each chart is its own table alternative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apps.inference.benchmarks.measuring.figures import Figures, Samples, Throughput, Turn
from apps.inference.benchmarks.measuring.targets import warm_target
from apps.inference.benchmarks.scales import Linear, Log, Tick
from apps.inference.models import BenchmarkRun

MAX_COMPARED = 5
"""As many as there are colours to tell runs apart by."""

TURN_LABELS: dict[Turn, str] = {
    "cold": "New prompt",
    "warm": "Same system prompt",
    "repeat": "Exact repeat",
    "next_turn": "Next turn",
}

_WARM_TURNS: frozenset[Turn] = frozenset({"warm"})
"""The turns that the target is for."""


@dataclass(frozen=True)
class Measured:
    """A run that is done, with its figures and its place among those shown."""

    run: BenchmarkRun
    figures: Figures
    series: int
    """Its colour, from 1."""

    @property
    def target(self) -> float | None:
        return warm_target(self.run.parameters)


@dataclass(frozen=True)
class Bar:
    """``width`` and ``mark`` are in per cent of the chart; ``mark`` None: there is none."""

    measured: Measured
    width: float
    value: str
    spread: str
    mark: float | None = None
    tone: str = ""


@dataclass(frozen=True)
class Group:
    """The bars of one measure. ``target``: where its line is, in per cent."""

    label: str
    bars: Sequence[Bar]
    target: float | None = None
    target_text: str = ""


@dataclass(frozen=True)
class Chart:
    key: str
    title: str
    note: str
    groups: Sequence[Group]
    ticks: Sequence[Tick]


def measured(runs: Sequence[BenchmarkRun]) -> list[Measured]:
    """Those of ``runs`` that are done, coloured in their order."""
    done = [run for run in runs if run.is_done]
    return [
        Measured(run, Figures.model_validate(run.figures), number)
        for number, run in enumerate(done, start=1)
    ]


def seconds(value: float) -> str:
    """A time in three significant digits: ``41.8 ms``, ``1.24 s``."""
    if value < 1:
        return f"{_digits(value * 1000)} ms"
    return f"{_digits(value)} s"


def rate(value: float) -> str:
    """Tokens per second, without the unit."""
    return _digits(value)


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _spread(samples: Samples, form: Callable[[float], str]) -> str:
    """From the least to the most of several samples; empty for one."""
    low, high = min(samples.samples), max(samples.samples)
    if len(samples.samples) == 1:
        return ""
    return f"{form(low)} to {form(high)}"


# --- the charts --------------------------------------------------------------------


def charts(shown: Sequence[Measured]) -> list[Chart]:
    """Every chart of the runs shown; empty where none is."""
    if not shown:
        return []
    return [
        _first_token(shown),
        _clients_chart(
            "throughput",
            "Tokens per second",
            "All clients together, while every one of them is being answered.",
            shown,
            lambda level: level.tokens_per_second,
            rate,
            "",
        ),
        _gaps(shown),
        _clients_chart(
            "waits",
            "Longest wait for a first token",
            "The slowest of the clients that ask at once, each with a short prompt of its own.",
            shown,
            lambda level: level.first_token,
            seconds,
            "ms",
            factor=1000.0,
        ),
    ]


def _first_token(shown: Sequence[Measured]) -> Chart:
    values = [each.seconds.median for one in shown for each in one.figures.first_token]
    targets = {one.target for one in shown if one.target is not None}
    scale = Log.over([*values, *targets])
    groups = []
    for turn, label in TURN_LABELS.items():
        target = min(targets) if targets and turn in _WARM_TURNS else None
        bars = [bar for one in shown if (bar := _turn_bar(one, turn, scale)) is not None]
        groups.append(
            Group(
                label,
                bars,
                target=None if target is None else scale.at(target),
                target_text="" if target is None else seconds(target),
            )
        )
    tokens = shown[0].figures.first_token[0].prompt_tokens
    note = f"Behind a prompt of {tokens:,} tokens. " if tokens else ""
    return Chart(
        "first-token",
        "Time to first token",
        f"{note}The scale is logarithmic; less is better.",
        groups,
        list(scale.ticks()),
    )


def _turn_bar(one: Measured, turn: Turn, scale: Log) -> Bar | None:
    figure = one.figures.turn(turn)
    if figure is None:
        return None
    spread = _spread(figure.seconds, seconds)
    tone = ""
    if turn in _WARM_TURNS and one.target is not None:
        tone = "ok" if figure.seconds.median < one.target else "warn"
    return Bar(
        one, scale.at(figure.seconds.median), seconds(figure.seconds.median), spread, tone=tone
    )


def _levels(shown: Sequence[Measured]) -> list[int]:
    return sorted({level.clients for one in shown for level in one.figures.throughput})


def _clients(count: int) -> str:
    return f"{count} client{'' if count == 1 else 's'}"


def _clients_chart(
    key: str,
    title: str,
    note: str,
    shown: Sequence[Measured],
    pick: Callable[[Throughput], Samples],
    form: Callable[[float], str],
    unit: str,
    *,
    factor: float = 1.0,
) -> Chart:
    """One bar for each run and number of clients."""
    medians = [pick(level).median for one in shown for level in one.figures.throughput]
    scale = Linear.over(medians)
    groups = [
        Group(
            _clients(count),
            [
                Bar(
                    one,
                    scale.at(pick(level).median),
                    form(pick(level).median),
                    _spread(pick(level), form),
                )
                for one in shown
                if (level := one.figures.at(count)) is not None
            ],
        )
        for count in _levels(shown)
    ]
    return Chart(key, title, note, groups, list(scale.ticks(unit, factor)))


def _gaps(shown: Sequence[Measured]) -> Chart:
    """Inter-token latencies: the bar ends at the median, the mark stands at the 95th percentile."""
    scale = Linear.over([level.gap_p95.median for one in shown for level in one.figures.throughput])
    groups = [
        Group(
            _clients(count),
            [
                Bar(
                    one,
                    scale.at(level.gap_p50.median),
                    seconds(level.gap_p50.median),
                    f"p95 {seconds(level.gap_p95.median)}",
                    mark=scale.at(level.gap_p95.median),
                )
                for one in shown
                if (level := one.figures.at(count)) is not None
            ],
        )
        for count in _levels(shown)
    ]
    return Chart(
        "gaps",
        "Time between tokens",
        "The bar ends at the 50th percentile, the mark stands at the 95th; less is better.",
        groups,
        list(scale.ticks("ms", 1000.0)),
    )
