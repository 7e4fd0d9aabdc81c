"""Jobs of the hub that a command waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Literal

from mlxhub_site.commands.hub.client import HubClient
from mlxhub_site.commands.interrupts import interrupts
from mlxhub_site.commands.jobs import ACTIVE, LOOK_SECONDS, Job
from mlxhub_site.commands.outcome import CommandFailed
from mlxhub_site.commands.output import Tell, progress_bar

Kind = Literal["evaluations", "publications"]


Work = Callable[[int, Tell, threading.Event], None]
"""Runs the job of a key to its end, here; the event is set where somebody wants it to end."""


def followed(client: HubClient, kind: Kind, job: Job) -> Job:
    """The job when it is over, with a bar until then. Ctrl-C cancels it."""
    return watched(client, f"/api/{kind}/{job['id']}", job, partial(_work_here, kind))


def watched(client: HubClient, path: str, job: Job, work: Work) -> Job:
    """The job at ``path`` when it is over. Ctrl-C cancels it.

    ``work`` does the worker's part where no worker of this machine is alive.
    """
    asked = False
    with progress_bar() as tell, interrupts() as interrupted:
        while job["state"] in ACTIVE:
            tell(job["doing"] or job["state"], job["fraction"])
            if interrupted.is_set() and not asked:
                client.post(f"{path}/cancel")
                asked = True
            if not client.is_remote and not _worker_is_alive():
                work(job["id"], tell, interrupted)
            job = client.get(path)
            if job["state"] in ACTIVE:
                interrupted.wait(LOOK_SECONDS) if not asked else time.sleep(LOOK_SECONDS)
    return job


def _worker_is_alive() -> bool:
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
