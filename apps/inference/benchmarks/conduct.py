"""One benchmark run from its claim to its end."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import IntegrityError, transaction

from apps.inference.benchmarks import machine
from apps.inference.benchmarks.measuring.client import ChatServer
from apps.inference.benchmarks.measuring.errors import MeasuringError, ServerUnreachable
from apps.inference.benchmarks.measuring.figures import Figures
from apps.inference.benchmarks.measuring.measure import Progress, measure
from apps.inference.benchmarks.measuring.plan import Plan
from apps.inference.keys.services import own_key
from apps.inference.models import BenchmarkRun
from apps.jobs import conduct as jobs
from apps.jobs.control import settle_orphans
from apps.jobs.models import JobState

LOOK_SECONDS = 1.0
"""How often it is looked, in the middle of an answer, whether the run is to end."""

LOST = "The process that ran it ended. Start the benchmark again."

OWN_KEY = "Benchmarks (the hub itself)"
OWN_KEY_LIFETIME = timedelta(days=1)
"""Longer than any run; at its end the key is revoked."""

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound to
"""What a server binds to that listens everywhere, and where it is found then."""

Tell = Callable[[Progress], None]


class AnotherRuns(Exception):
    """Two benchmarks at once would measure each other; the message names the other one."""


def conduct(
    *,
    run: BenchmarkRun,
    worker_stops: threading.Event,
    stopped_as: JobState = JobState.INTERRUPTED,
    hub_url: str | None = None,
    api_key: str | None = None,
    on_progress: Tell = lambda progress: None,
) -> None:
    """Run a queued benchmark to its end, whatever that is; the row tells which.

    ``hub_url``: where this hub's API listens, if not where the settings say. The key is
    used and not kept. Returns at once where the run is no longer queued. Raises AnotherRuns.
    """
    url = run.base_url or hub_url or own_url()

    def work(report: jobs.Report) -> None:
        def tell(progress: Progress) -> None:
            on_progress(progress)
            report(progress.doing, progress.done / progress.total, steps_done=progress.done)

        report("", 0.0, machine=machine.facts(with_engine=not run.base_url))
        figures = _figures(run, url, api_key, tell)
        report(
            "",
            1.0,
            steps_done=run.steps_total,
            figures=figures.model_dump(mode="json"),
            peak_memory_bytes=None if run.base_url else machine.peak_memory(),
        )

    jobs.conduct(
        run,
        work,
        expected=(MeasuringError,),
        worker_stops=worker_stops,
        stopped_as=stopped_as,
        take=_take,
    )


def own_url() -> str:
    """Where this hub's API listens, as this machine reaches it."""
    hub = settings.HUB
    # A hub that listens on one address of the machine is not found on any other.
    host = _ANY_ADDRESS.get(hub.host, hub.host)
    return f"http://[{host}]:{hub.port}/v1" if ":" in host else f"http://{host}:{hub.port}/v1"


@contextmanager
def _key_for(run: BenchmarkRun, given: str | None) -> Iterator[str | None]:
    """What to call with: the given key, or where this hub asks for one, its own."""
    if given is not None or run.base_url or not settings.HUB.keys_required:
        yield given
        return
    with own_key(name=OWN_KEY, lifetime=OWN_KEY_LIFETIME) as key:
        yield key


def settle_runs() -> int:
    """Mark the runs whose process is gone as interrupted; how many there were."""
    return settle_orphans(BenchmarkRun.objects.all(), error=LOST)


def _take(run: BenchmarkRun) -> bool:
    """Claim a run; False where it is no longer queued. Raises AnotherRuns."""
    settle_runs()
    try:
        with transaction.atomic():
            return jobs.claim(run)
    except IntegrityError as error:
        other = BenchmarkRun.objects.running().first()
        raise AnotherRuns(
            f"{other or 'Another benchmark'} is running, and two at once would measure each "
            "other. Wait for it, or cancel it on the Benchmarks page."
        ) from error


def _figures(run: BenchmarkRun, url: str, given_key: str | None, tell: Tell) -> Figures:
    """Raises MeasuringError, and what ``tell`` raises."""
    try:
        with _key_for(run, given_key) as key:
            return async_to_sync(_measured)(run, url, key, tell)
    except ServerUnreachable as error:
        if run.base_url:
            raise
        # A hub that is stopped ends its web process before this one.
        raise jobs.JobEnds(JobState.INTERRUPTED) from error


async def _measured(run: BenchmarkRun, url: str, api_key: str | None, tell: Tell) -> Figures:
    """The figures. What ``tell`` raises ends the measuring in the middle of an answer."""
    latest = Progress(0, run.steps_total, "")

    def note(progress: Progress) -> None:
        nonlocal latest
        latest = progress

    async with ChatServer(url, run.model_name, api_key=api_key) as server:
        plan = Plan.model_validate(run.plan)
        measuring = asyncio.create_task(
            measure(server, plan, salt=secrets.token_hex(4), on_progress=note)
        )
        try:
            while not (await asyncio.wait([measuring], timeout=LOOK_SECONDS))[0]:
                tell(latest)
            return measuring.result()
        finally:
            measuring.cancel()
            await asyncio.wait([measuring])
