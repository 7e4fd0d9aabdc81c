"""A long curve is thinned in the database, and no spike is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from apps.models.models import LocalModel
from apps.training.models import Metric, TrainingJob
from apps.training.series import curve, refresh_spans
from apps.training.tests.jobs import make_job

LOSS = Metric.Name.LOSS


def write(job: TrainingJob, values: dict[int, float], name: str = LOSS) -> None:
    Metric.objects.bulk_create(
        [Metric(job=job, name=name, step=step, value=value) for step, value in values.items()],
        update_conflicts=True,
        unique_fields=("job", "name", "step"),
        update_fields=("value",),
    )
    refresh_spans(job, set(values))


@pytest.fixture
def job(tiny: LocalModel) -> TrainingJob:
    return make_job(tiny)


def test_a_short_curve_is_told_point_by_point(job: TrainingJob) -> None:
    write(job, {10: 3.0, 20: 2.0, 30: 2.5})
    found = curve(job, LOSS)
    assert (found.step, found.mean) == ([10, 20, 30], [3.0, 2.0, 2.5])
    assert found.low == found.mean == found.high


def test_a_curve_without_points_is_empty(job: TrainingJob) -> None:
    assert curve(job, LOSS).step == []


@pytest.mark.parametrize("points", [10, 100, 300])
def test_spikes_of_a_long_curve_stay(job: TrainingJob, points: int) -> None:
    values = dict.fromkeys(range(1, 5001), 1.0)
    write(job, values | {1234: 9.0, 4321: -5.0})
    found = curve(job, LOSS, points=points)
    assert len(found.step) <= points + 1
    assert max(found.high) == 9.0
    assert min(found.low) == -5.0
    assert found.step == sorted(found.step)
    assert found.low != found.high


def test_steps_that_are_told_again_count_once(job: TrainingJob) -> None:
    write(job, dict.fromkeys(range(2000), 1.0))
    write(job, dict.fromkeys(range(1000, 2000), 3.0))
    found = curve(job, LOSS, points=10)
    assert (found.mean[0], found.mean[-1]) == (1.0, 3.0)
    assert max(found.high) == 3.0


def test_curves_do_not_mix(job: TrainingJob) -> None:
    write(job, dict.fromkeys(range(1, 2000), 1.0))
    write(job, dict.fromkeys(range(1, 2000), 7.0), Metric.Name.RATE)
    assert set(curve(job, LOSS, points=20).high) == {1.0}


class AnyCurve(TestCase):
    @given(
        steps=st.lists(st.integers(0, 40_000), min_size=1, max_size=60, unique=True),
        points=st.integers(1, 40),
    )
    def test_keeps_its_highest_and_lowest_point_and_its_mean(
        self, steps: list[int], points: int
    ) -> None:
        job = make_job()
        values = {step: float(step % 97) for step in steps}
        for step, value in values.items():
            write(job, {step: value})
        found = curve(job, LOSS, points=points)
        assert len(found.step) <= points + 1
        assert max(found.high) == max(values.values())
        assert min(found.low) == min(values.values())
