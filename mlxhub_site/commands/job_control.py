"""`mlx-hub jobs cancel | pause | resume`: jobs of any kind, on this machine's hub or another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from mlxhub_site.commands.following import has_worker
from mlxhub_site.commands.hub.client import HubClient
from mlxhub_site.commands.hub.options import for_any_hub, hub
from mlxhub_site.commands.job_kinds import ACTIVE, Job, Named, named
from mlxhub_site.commands.outcome import Refused
from mlxhub_site.commands.output import AsJson, harmless, print_json
from mlxhub_site.commands.several import for_each

Names = Annotated[
    list[str],
    typer.Argument(metavar="JOB...", help="As `mlx-hub jobs --all` has them: 12, download-3."),
]


@for_any_hub
def cancel(names: Names, as_json: AsJson = False) -> None:
    """End jobs: one that waits at once, one that runs within a second or two."""
    _steer(names, cancelled, "is being cancelled", as_json=as_json)


@for_any_hub
def pause(names: Names, as_json: AsJson = False) -> None:
    """Have trainings and downloads wait until they are resumed. What is done stays done."""
    _steer(names, paused, "is being paused", as_json=as_json)


@for_any_hub
def resume(names: Names, as_json: AsJson = False) -> None:
    """Put jobs that stand still back into the worker's queue, and return at once."""
    _steer(names, resumed, "running", as_json=as_json)


def cancelled(client: HubClient, job: Named) -> Job:
    """The job, told to end. Raises Refused where it is over."""
    state = job.find(client)["state"]
    if state not in (*ACTIVE, "paused"):
        raise Refused(f"{job} is {state}: there is nothing to cancel.")
    ended: Job = client.post(f"{job.path}/cancel")
    return ended


def paused(client: HubClient, job: Named) -> Job:
    """The job, told to wait. Raises Refused where it can't, or neither waits nor runs."""
    state = job.find(client)["state"]
    if not job.kind.pauses:
        raise Refused(
            f"{job} can't be paused: trainings and downloads can. `mlx-hub jobs cancel {job}` "
            "ends it."
        )
    if state not in ACTIVE:
        raise Refused(f"{job} is {state}: only a job that waits or runs can be paused.")
    waiting: Job = client.post(f"{job.path}/pause")
    return waiting


def resumed(client: HubClient, job: Named) -> Job:
    """The job, in the queue again. Raises Refused where it does not stand still."""
    before = job.find(client)
    if not job.kind.again:
        raise Refused(f"{job} can't be taken up again. Order it anew.")
    state = before["state"]
    if state in (*ACTIVE, "done") and not before.get("stopped"):
        raise Refused(f"{job} is {state}: only a job that stands still goes on.")
    queued: Job = client.post(f"{job.path}/{job.kind.again}")
    return queued


def _steer(
    names: list[str], act: Callable[[HubClient, Named], Job], still: str, *, as_json: bool
) -> None:
    """Do it to each job and tell what it is now. ``still``: what to say of one that runs."""
    chosen = [named(each) for each in names]  # all of them make sense before one is touched
    rows: list[Job] = []
    with hub() as client:

        def steer(job: Named) -> None:
            row = job.row(act(client, job))
            rows.append(row)
            if not as_json:
                said = still if row["state"] == "running" else row["state"]
                typer.echo(harmless(f"{row['job']} ({row['subject']}): {said}."))

        try:
            for_each(chosen, steer)
        finally:
            if as_json:
                print_json({"jobs": rows})
            if any(row["state"] == "queued" for row in rows) and not has_worker(client):
                typer.echo("No worker is alive to begin. `mlx-hub up` starts one.", err=True)
