"""One benchmark run from its claim to its end, and the runs whose process is gone."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.inference.benchmarks import machine
from apps.inference.benchmarks.measuring.client import ChatServer
from apps.inference.benchmarks.measuring.errors import MeasuringError, ServerUnreachable
from apps.inference.benchmarks.measuring.figures import Figures
from apps.inference.benchmarks.measuring.measure import Progress, measure
from apps.inference.benchmarks.measuring.plan import Plan
from apps.inference.keys.services import own_key
from apps.inference.models import BenchmarkRun

WATCH_SECONDS = 1.0
"""How often a running benchmark gives a sign of life and looks whether it is to end."""

LOST = "The process that ran it ended. Start the benchmark again."
STOPPED = "The hub was stopped while it ran. Start the benchmark again."
HUB_LEFT = "The hub stopped answering while it ran. Start the benchmark again."
BROKEN = "It failed for a reason that was not foreseen; the log of the worker has it."

OWN_KEY = "Benchmarks (the hub itself)"
OWN_KEY_LIFETIME = timedelta(days=1)
"""Longer than any run; at its end the key is revoked."""

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound to
"""What a server binds to that listens everywhere, and where it is found then."""

Report = Callable[[Progress], None]
Ending = Callable[[], BenchmarkRun.State | None]
"""Whether a run is to end before its time: as cancelled, as interrupted, or not."""


class AnotherRuns(Exception):
    """Two benchmarks at once would measure each other; the message names the other one."""


def conduct(
    *,
    run: BenchmarkRun,
    hub_url: str | None = None,
    api_key: str | None = None,
    on_progress: Report = lambda progress: None,
    ending: Ending = lambda: None,
) -> None:
    """Run a queued benchmark to its end, whatever that is; the row tells which.

    ``hub_url``: where this hub's API listens, if not where the settings say. The key is
    used and not kept. Returns at once where the run is no longer queued. Raises AnotherRuns.
    """
    if not _claim(run):
        return
    facts = machine.facts(with_engine=not run.base_url)
    url = run.base_url or hub_url or own_url()
    try:
        with _key_for(run, api_key) as key:
            outcome = async_to_sync(_watched)(run, url, key, on_progress, ending)
    except MeasuringError as error:
        _end(run, **_failure(run, error), machine=facts)
    except Exception:
        # The traceback is the caller's to log; the row must not stay "running".
        _end(run, BenchmarkRun.State.FAILED, error=BROKEN, machine=facts)
        raise
    else:
        _end(run, **_outcome(run, outcome), machine=facts)


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


def settle_silent() -> int:
    """Mark the runs whose process is gone as interrupted; how many there were."""
    return BenchmarkRun.objects.silent().update(
        state=BenchmarkRun.State.INTERRUPTED, error=LOST, finished_at=timezone.now()
    )


def _claim(run: BenchmarkRun) -> bool:
    """Take a queued run; False where it is no longer queued. Raises AnotherRuns."""
    settle_silent()
    now = timezone.now()
    row = BenchmarkRun.objects.queued().filter(pk=run.pk)
    try:
        with transaction.atomic():
            claimed = row.update(state=BenchmarkRun.State.RUNNING, started_at=now, seen_at=now)
    except IntegrityError as error:
        other = BenchmarkRun.objects.running().first()
        raise AnotherRuns(
            f"{other or 'Another benchmark'} is running, and two at once would measure each "
            "other. Wait for it, or cancel it on the Benchmarks page."
        ) from error
    run.refresh_from_db()
    return bool(claimed)


async def _watched(
    run: BenchmarkRun, url: str, api_key: str | None, on_progress: Report, ending: Ending
) -> Figures | BenchmarkRun.State:
    """The figures, or the state that the run is to end in without them."""
    latest: list[Progress] = []

    def note(progress: Progress) -> None:
        latest[:] = [progress]
        on_progress(progress)

    async with ChatServer(url, run.model_name, api_key=api_key) as server:
        plan = Plan.model_validate(run.plan)
        measuring = asyncio.create_task(
            measure(server, plan, salt=secrets.token_hex(4), on_progress=note)
        )
        try:
            while not measuring.done():
                await asyncio.wait([measuring], timeout=WATCH_SECONDS)
                wanted = await sync_to_async(_beat)(run, latest[-1] if latest else None)
                state = wanted or ending()
                if state is not None and not measuring.done():
                    return state
            return measuring.result()
        finally:
            measuring.cancel()
            await asyncio.wait([measuring])


def _beat(run: BenchmarkRun, progress: Progress | None) -> BenchmarkRun.State | None:
    """A sign of life, with how far it is; CANCELLED where somebody asked for that."""
    fields: dict[str, Any] = {"seen_at": timezone.now()}
    if progress is not None:
        fields |= {"steps_done": progress.done, "doing": progress.doing}
    row = BenchmarkRun.objects.running().filter(pk=run.pk)
    if row.update(**fields) and not row.filter(cancel_requested=True).exists():
        return None
    return BenchmarkRun.State.CANCELLED


def _outcome(run: BenchmarkRun, outcome: Figures | BenchmarkRun.State) -> dict[str, Any]:
    """The row's last fields."""
    if isinstance(outcome, Figures):
        return {
            "state": BenchmarkRun.State.DONE,
            "steps_done": run.steps_total,
            "figures": outcome.model_dump(mode="json"),
            "peak_memory_bytes": None if run.base_url else machine.peak_memory(),
        }
    error = STOPPED if outcome == BenchmarkRun.State.INTERRUPTED else ""
    return {"state": outcome, "error": error}


def _failure(run: BenchmarkRun, error: MeasuringError) -> dict[str, Any]:
    """The row's last fields. A hub that is stopped ends its web process before this one."""
    if isinstance(error, ServerUnreachable) and not run.base_url:
        return {"state": BenchmarkRun.State.INTERRUPTED, "error": HUB_LEFT}
    return {"state": BenchmarkRun.State.FAILED, "error": str(error)}


def _end(run: BenchmarkRun, state: BenchmarkRun.State, **fields: Any) -> None:
    """Leave ``running``; a run that somebody else ended stays as it is."""
    row = BenchmarkRun.objects.running().filter(pk=run.pk)
    row.update(state=state, finished_at=timezone.now(), **fields)
    run.refresh_from_db()
