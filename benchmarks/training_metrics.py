"""A run with a million metric points: how long its chart's data takes.

Server time, as in ``registry``: what this process computes from the request to the whole
answer, all middleware and the database included.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import django
from django.core.management import call_command

from benchmarks.figures import Figure

if TYPE_CHECKING:
    from django.test import Client

    from apps.training.models import TrainingJob

STEPS = 200_000
"""Of each of the five curves that a run tells at every step."""
LIMIT = 0.100
"""Seconds."""
SPIKE = (123_457, 99.0)
"""A step and its loss, which has to be in the picture."""


def chart_figures(rounds: int) -> Iterable[Figure]:
    """The median of four times ``rounds`` answers, of all curves and of one as long as all."""
    with _run() as (client, job):
        for name, url in {
            "the page's chart": f"/training/{job.pk}/chart/",
            "API, 500 points a curve": f"/api/training/jobs/{job.pk}/metrics?points=500",
            "API, 2,000 points a curve": f"/api/training/jobs/{job.pk}/metrics?points=2000",
        }.items():
            answer = client.get(url).json()
            assert max(answer["curves"]["loss"]["high"]) == SPIKE[1], "the spike is lost"
            times = [_seconds(client, url) for _ in range(4 * rounds)]
            yield Figure(
                f"{5 * STEPS:,} metric points: {name}",
                statistics.median(times),
                LIMIT,
                "s",
                at_most=1.0,
            )


def _seconds(client: Client, url: str) -> float:
    begun = time.process_time()
    response = client.get(url)
    taken = time.process_time() - begun
    assert response.status_code == 200, f"{url}: {response.status_code}"
    return taken


@contextmanager
def _run() -> Iterator[tuple[Client, TrainingJob]]:
    """A client of a hub whose database holds the run."""
    with tempfile.TemporaryDirectory(prefix="mlxhub-") as home:
        os.environ["MLXHUB_HOME"] = home
        os.environ["DJANGO_SETTINGS_MODULE"] = "mlxhub_site.settings"
        django.setup()
        call_command("migrate", verbosity=0)
        call_command("collectstatic", verbosity=0, interactive=False)
        from django.test import Client

        yield Client(headers={"host": "127.0.0.1"}), _filled()


def _filled() -> TrainingJob:
    from apps.training.models import Metric, TrainingJob
    from apps.training.series import refresh_spans

    job = TrainingJob.objects.create(
        name="Long", slug="long", base_name="Gone", data="/data", settings={}, steps=STEPS
    )
    curves = [name for name in Metric.Name.values if name != Metric.Name.VALIDATION]
    for first in range(1, STEPS + 1, 20_000):
        steps = range(first, first + 20_000)
        for name in curves[:5]:
            Metric.objects.bulk_create(
                Metric(job=job, name=name, step=step, value=_value(name, step)) for step in steps
            )
        refresh_spans(job, set(steps))
    return job


def _value(name: str, step: int) -> float:
    if name == "loss" and step == SPIKE[0]:
        return SPIKE[1]
    return 4.0 * 0.99999**step + (step % 17) / 100
