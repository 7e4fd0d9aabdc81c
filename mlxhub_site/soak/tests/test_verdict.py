"""A soak's verdict on made-up figures: what grows is found, what wobbles is not."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlxhub_site.soak.traffic import Tally
from mlxhub_site.soak.verdict import drift, findings, growth, trend
from mlxhub_site.soak.watching import Watch, Watched

MIB = 1024 * 1024
LOOKS = 240
"""Twenty minutes."""


def process(per_minute: float = 0.0, *, warm_up: float = 0.0, wobble: int = 0) -> Watched:
    """Samples each five seconds of one that grows by ``per_minute`` MiB after its warm-up."""
    at = [5.0 * look for look in range(LOOKS)]
    rss = [
        int(500 * MIB + min(look, 60) * warm_up * MIB + seconds / 60 * per_minute * MIB)
        + (look % 2) * wobble
        for look, seconds in enumerate(at)
    ]
    return Watched(1, at, rss, [20 + look % 3 for look in range(LOOKS)], [8] * LOOKS)


def missed(watched: Watched, tally: Tally | None = None) -> set[str]:
    watch = Watch(processes={"web": watched})
    found = findings({"chat": tally or Tally(done=1)}, watch)
    return {finding.name for finding in found if not finding.holds}


def test_a_process_that_stays_as_it_was_passes() -> None:
    assert missed(process(wobble=20 * MIB)) == set()


def test_what_is_needed_once_does_not_count() -> None:
    assert missed(process(warm_up=10.0)) == set()


@given(st.floats(min_value=1.1, max_value=100))
def test_a_leak_is_found(per_minute: float) -> None:
    slope, error = growth(process(per_minute))
    assert slope == pytest.approx(per_minute, rel=0.01)
    assert error < 0.01
    assert missed(process(per_minute)) == {"web: growth"}


@pytest.mark.parametrize("measure", ["descriptors", "threads"])
def test_what_is_opened_and_not_closed_is_found(measure: str) -> None:
    leaking = process()
    setattr(leaking, measure, [10 + look // 10 for look in range(LOOKS)])
    assert missed(leaking) == {f"web: more {measure} at the end"}


def test_a_failed_visit_and_a_lost_process_are_found() -> None:
    assert missed(process(), Tally(errors=1)) == {"visits that failed"}
    watch = Watch(processes={"web": process()}, lost=["engine (4)"])
    (lost,) = [one for one in findings({}, watch) if not one.holds]
    assert lost.name == "processes that ended"


def test_answers_that_come_later_and_later_are_found() -> None:
    slower = Tally(waits=[(float(at), 0.1 + at / 100) for at in range(90)])
    assert missed(process(), slower) == {"first words, end / after warm-up"}
    assert drift([(float(at), 0.2) for at in range(90)]) == 1.0


def test_a_short_soak_says_nothing_of_what_needs_time() -> None:
    assert drift([(1.0, 0.2)]) == 1.0
    assert growth(Watched(1)) == (0.0, math.inf)
    assert trend([]) == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_a_process_that_breathes_by_a_hundred_mib_is_not_said_to_grow(seed: int) -> None:
    chance = random.Random(seed)
    breathing = process()
    breathing.rss = [size + chance.randrange(100 * MIB) for size in breathing.rss]
    assert missed(breathing) == set()


def test_one_that_breathes_and_grows_is_found() -> None:
    chance = random.Random(0)
    growing = process(20.0)
    growing.rss = [size + chance.randrange(100 * MIB) for size in growing.rss]
    assert missed(growing) == {"web: growth"}


def test_growth_without_a_limit_is_told_by_the_minute() -> None:
    assert trend([(30.0 * look, look * MIB) for look in range(40)]) == pytest.approx(2.0)
