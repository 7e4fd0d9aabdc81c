"""Jobs of the hub that a command waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Literal

from mlxhub_site.commands.hub.client import HubClient
from mlxhub_site.commands.interrupts import interrupts
from mlxhub_site.commands.job_kinds import ACTIVE, Job
from mlxhub_site.commands.outcome import CommandFailed, Interrupted
from mlxhub_site.commands.output import Tell, progress_bar

LOOK_SECONDS = 0.5
"""How often something that is followed is looked at."""

Kind = Literal["evaluations", "publications"]

ENDING = "stopping; Ctrl-C again leaves at once"

Work = Callable[[int, Tell, threading.Event], None]
"""Runs the job of a key to its end, here; the event is set where somebody wants it to end."""


def followed(client: HubClient, kind: Kind, job: Job) -> Job:
    """The job when it is over, with a bar until then. Ctrl-C cancels it."""
    return watched(client, f"/api/{kind}/{job['id']}", job, partial(_work_here, kind))


def watched(client: HubClient, path: str, job: Job, work: Work, *, end: str = "cancel") -> Job:
    """The job at ``path`` when it stands still, with a bar until then.

    Ctrl-C asks the hub for ``end``, an action on the job; a second one raises Interrupted.
    ``work`` does the worker's part where no worker of this machine is alive.
    """
    try:
        return _watched(client, path, job, work, end)
    except KeyboardInterrupt:
        raise Interrupted("Left before the job had stopped; it was told to.") from None


def _watched(client: HubClient, path: str, job: Job, work: Work, end: str) -> Job:
    asked = False
    with progress_bar() as tell, interrupts() as interrupted:
        while job["state"] in ACTIVE:
            tell(ENDING if asked else job["doing"] or job["state"], _fraction(job))
            if interrupted.is_set() and not asked:
                client.post(f"{path}/{end}")
                asked = True
            if not has_worker(client):
                work(job["id"], tell, interrupted)
            job = client.look(path)
            if job["state"] in ACTIVE:
                interrupted.wait(LOOK_SECONDS) if not asked else time.sleep(LOOK_SECONDS)
    return job


def _fraction(job: Job) -> float:
    """How far it is; a training tells its steps."""
    if "steps" in job:
        return float(job["step"] / max(job["steps"], 1))
    return float(job["fraction"])


def has_worker(client: HubClient) -> bool:
    """Whether jobs get done without this process: another hub looks after its own."""
    if client.is_remote:
        return True
    from apps.discovery.downloads.following import worker_is_alive

    return worker_is_alive()


def _work_here(kind: Kind, key: int, tell: Tell, interrupted: threading.Event) -> None:
    from apps.discovery.publishing import running as publications
    from apps.discovery.publishing.models import Publication
    from apps.training.evaluation import running as evaluations
    from apps.training.evaluation.models import Evaluation

    if kind == "evaluations":
        evaluations.run(Evaluation.objects.get(pk=key), stops=interrupted, on_progress=tell)
    else:
        publications.run(Publication.objects.get(pk=key), stops=interrupted, on_progress=tell)


def require_no_failure(job: Job) -> None:
    """Raises CommandFailed where the job did not get to its end."""
    if job["state"] in ("failed", "cancelled", "interrupted"):
        raise CommandFailed(job["error"] or f"It is {job['state']}.")
