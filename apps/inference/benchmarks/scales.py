"""Where values stand on a chart's axis, in per cent of it, and what its ticks say."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Tick:
    """``at`` is in per cent. ``anchor``: which end of the text stands there."""

    at: float
    text: str
    anchor: str


@dataclass(frozen=True)
class Log:
    """A logarithmic scale over whole decades; ``low`` and ``high`` are exponents of ten."""

    low: int
    high: int

    @classmethod
    def over(cls, values: Sequence[float]) -> Log:
        low = math.floor(math.log10(min(values) * 0.7))
        return cls(low, max(low + 1, math.ceil(math.log10(max(values) * 1.05))))

    def at(self, value: float) -> float:
        return round((math.log10(value) - self.low) / (self.high - self.low) * 100, 2)

    def ticks(self) -> Iterator[Tick]:
        for exponent in range(self.low, self.high + 1):
            at = self.at(10.0**exponent)
            value = 10.0**exponent
            text = f"{value:g} s" if value >= 1 else f"{value * 1000:g} ms"
            yield Tick(at, text, _anchor(at))


@dataclass(frozen=True)
class Linear:
    """A scale from 0 to a round number."""

    step: float
    steps: int

    @classmethod
    def over(cls, values: Sequence[float]) -> Linear:
        most = max(*values, 1e-6) * 1.02
        magnitude = 10.0 ** math.floor(math.log10(most / 4))
        step = next(magnitude * each for each in (1, 2, 2.5, 5, 10) if magnitude * each * 5 >= most)
        return cls(step, math.ceil(most / step))

    def at(self, value: float) -> float:
        return round(value / (self.step * self.steps) * 100, 2)

    def ticks(self, unit: str, factor: float = 1.0) -> Iterator[Tick]:
        for number in range(self.steps + 1):
            at = self.at(number * self.step)
            text = f"{number * self.step * factor:g}"
            yield Tick(at, f"{text} {unit}".strip() if number == self.steps else text, _anchor(at))


def _anchor(at: float) -> str:
    return "start" if at <= 0 else "end" if at >= 100 else "middle"
