"""Rates and times, as people see them."""

from __future__ import annotations

import pytest

from apps.discovery.downloads.speed import WINDOW, Speedometer
from apps.discovery.templatetags.downloads import duration
from apps.models.sizes import readable


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def drive(meter: Speedometer, clock: Clock, rate: float, seconds: float, start: int = 0) -> int:
    count = start
    for step in range(1, int(seconds / 0.1) + 1):
        clock.now += 0.1
        count = start + int(rate * 0.1 * step)
        meter.note(count)
    return count


def test_nothing_is_known_before_the_second_sample(clock: Clock) -> None:
    meter = Speedometer(clock)
    assert meter.rate == 0.0
    meter.note(1_000_000)
    assert meter.rate == 0.0


def test_a_steady_flow_has_its_rate(clock: Clock) -> None:
    meter = Speedometer(clock)
    drive(meter, clock, 5e6, 20)
    assert meter.rate == pytest.approx(5e6, rel=0.05)


def test_only_the_last_seconds_count(clock: Clock) -> None:
    meter = Speedometer(clock)
    count = drive(meter, clock, 50e6, 30)
    drive(meter, clock, 1e6, WINDOW + 1, start=count)
    assert meter.rate == pytest.approx(1e6, rel=0.1)


def test_a_pause_is_forgotten(clock: Clock) -> None:
    meter = Speedometer(clock)
    count = drive(meter, clock, 1e6, 5)
    clock.now += 60
    meter.restart()
    drive(meter, clock, 1e6, 5, start=count)
    assert meter.rate == pytest.approx(1e6, rel=0.1)


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [(0, "0 kB"), (1, "1 kB"), (999_999, "1000 kB"), (4_283_000_000, "4.3 GB"), (2e12, "2.0 TB")],
)
def test_sizes_are_written_as_disks_are_sold(nbytes: float, text: str) -> None:
    assert readable(nbytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (59, "59 s"), (61, "1 min 1 s"), (5400, "1 h 30 min"), (90_000, "1 d 1 h")],
)
def test_times_have_their_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text
