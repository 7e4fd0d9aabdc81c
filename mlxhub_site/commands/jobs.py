"""`mlx-hub jobs | pause | stop | resume`: trainings, looked at and steered."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Annotated, Any

import typer
from rich.table import Table

from mlxhub_site.commands.hub.client import HubClient
from mlxhub_site.commands.hub.options import for_any_hub, hub
from mlxhub_site.commands.outcome import Refused
from mlxhub_site.commands.output import WIDE, AsJson, console, print_json, text

LOOK_SECONDS = 0.5
"""How often something that is followed is looked at."""

Job = dict[str, Any]
Number = Annotated[int, typer.Argument(metavar="JOB", min=1, help="As `mlx-hub jobs` has it.")]

ACTIVE = ("queued", "running")

_SHOWN = ("what", "id", "subject", "state", "doing")
"""Columns of what is no training."""


@for_any_hub
def jobs(
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    everything: Annotated[
        bool, typer.Option("--all", help="Jobs of every kind: downloads, conversions, …")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the training jobs, the newest first."""
    with hub() as client:
        found = client.get("/api/training/jobs", limit=limit)
        others = _others(client, limit) if everything else []
    if as_json:
        print_json(found | {"others": others} if everything else found)
        return
    out = console()
    if found["jobs"]:
        out.print(_jobs_table(found["jobs"], wide=out.width >= WIDE))
    else:
        out.print("No training job yet. `mlx-hub train MODEL --data DATA --name NAME` makes one.")
    if others:
        table = Table("What", "Job", "Subject", "State", "Doing", box=None, pad_edge=False)
        for each in others:
            table.add_row(*map(text, (each[name] for name in _SHOWN)))
        out.print(table)


@for_any_hub
def stop(
    key: Number,
    cancel: Annotated[bool, typer.Option("--cancel", help="Save nothing more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Stop a job with a checkpoint and its result as it is. It may be resumed."""
    with hub() as client:
        job = client.post(f"/api/training/jobs/{key}/{'cancel' if cancel else 'stop'}")
    if as_json:
        print_json(job)
        return
    typer.echo(f"{job['name']}: {'stopping' if job['state'] in ACTIVE else job['state']}.")


@for_any_hub
def pause(key: Number, as_json: AsJson = False) -> None:
    """Have a job save a checkpoint and give its turn back. `resume` goes on with it."""
    with hub() as client:
        job = client.post(f"/api/training/jobs/{key}/pause")
    if as_json:
        print_json(job)
        return
    typer.echo(f"{job['name']}: {'pausing' if job['state'] == 'running' else job['state']}.")


def resumed(client: HubClient, key: int) -> Job:
    """The job, in the queue again. Raises Refused where it does not stand still."""
    before: Job = client.get(f"/api/training/jobs/{key}")
    if before["state"] in (*ACTIVE, "done") and not before["stopped"]:
        raise Refused(
            f"{before['name']} is {before['state']}: only a job that stands still goes on."
        )
    job: Job = client.post(f"/api/training/jobs/{key}/resume")
    return job


def _others(client: HubClient, limit: int) -> list[dict[str, Any]]:
    """Jobs that are no trainings, in one shape; what failed tells why in place of its stage."""
    repository = itemgetter("repo_id")
    kinds: tuple[tuple[str, str, str, Callable[[Job], str]], ...] = (
        ("/api/downloads", "downloads", "download", repository),
        ("/api/models/jobs", "jobs", "", itemgetter("subject")),
        ("/api/benchmarks", "benchmarks", "benchmark", itemgetter("model")),
        ("/api/evaluations", "evaluations", "evaluation", _evaluated),
        ("/api/publications", "publications", "publication", repository),
    )
    return [
        {
            "what": kind or each["kind"],
            "id": each["id"],
            "subject": subject(each),
            "state": each["state"],
            "doing": each.get("doing") or each.get("error") or "",
        }
        for path, name, kind, subject in kinds
        for each in client.get(path, limit=limit)[name]
    ]


def _evaluated(job: Job) -> str:
    return ", ".join(job["plan"]["subjects"])


def _jobs_table(found: list[Job], *, wide: bool) -> Table:
    table = Table("Job", "Name", box=None, pad_edge=False)
    if wide:
        table.add_column("Base")
    for heading in ("State", "Steps", "Made"):
        table.add_column(heading)
    for job in found:
        table.add_row(
            str(job["id"]),
            text(job["name"]),
            *([text(job["model"] or "deleted")] if wide else []),
            job["state"],
            f"{job['step']:,} of {job['steps']:,}",
            text(job["made"]),
        )
    return table
