"""Jobs on datasets as a command has them: ordered, waited for, told.

The order is the same whichever hub it is for. Where this machine has no living worker the
command does the worker's part. Ctrl-C cancels the job.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from mlxhub_site.commands.following import watched
from mlxhub_site.commands.hub.client import HubClient, segment
from mlxhub_site.commands.job_kinds import Job
from mlxhub_site.commands.outcome import BadUsage, CommandFailed, NotFound
from mlxhub_site.commands.output import Tell, print_json

Name = Annotated[str, typer.Argument(metavar="DATASET", help="As `mlx-hub data list` has it.")]
Number = Annotated[
    int | None, typer.Option("--version", min=1, help="Default: the present version.")
]
Version = dict[str, Any]


def address(name: str) -> str:
    """Where the API has a dataset."""
    return f"/api/datasets/{segment(name)}"


def version_of(client: HubClient, name: str, number: int | None = None) -> Version:
    """A version by its number, or the present one. Raises NotFound."""
    if number is not None:
        found: Version = client.get(f"{address(name)}/versions/{number}")
        return found
    head: Version | None = client.get(address(name))["head"]
    if head is None:
        raise NotFound(f"{name} has no version yet. Wait for its import, or start one.")
    return head


def rows_in(version: Version) -> int:
    """How many there are, of all splits."""
    return sum(version[f"{split}_rows"] for split in ("train", "valid", "test"))


def examined(client: HubClient, name: str, order: dict[str, Any], **query: Any) -> Job:
    """The job of an order once it is done. Raises CommandFailed where it does not get there."""
    return done(client, client.post(f"{address(name)}/changes", order, **query))


def change(
    client: HubClient, name: str, order: dict[str, Any], *, as_json: bool, **query: Any
) -> None:
    """Make a version, and say which. Raises CommandFailed."""
    tell_version(client, examined(client, name, order, **query), as_json=as_json)


def tell_version(client: HubClient, job: Job, *, as_json: bool) -> None:
    """Say which version a job made."""
    made = version_of(client, job["dataset"], job["result"])
    if as_json:
        print_json({"dataset": job["dataset"]} | made)
        return
    typer.echo(
        f"{job['dataset']}, version {made['number']}: {rows_in(made):,} rows. {made['change']}."
    )


def done(client: HubClient, job: Job) -> Job:
    """The job at its end, with a bar until then. Raises CommandFailed where it failed."""
    path = f"{address(job['dataset'])}/jobs/{job['id']}"
    job = watched(client, path, job, _work_here)
    if job["state"] != "done":
        raise CommandFailed(job["error"] or "It was cancelled, and nothing of it is left.")
    return job


def _work_here(key: int, tell: Tell, interrupted: threading.Event) -> None:
    from apps.datasets.models import DatasetJob
    from apps.datasets.running import run
    from apps.jobs.models import JobState

    job = DatasetJob.objects.select_related("dataset", "base__dataset").get(pk=key)
    run(job, stops=interrupted, stopped_as=JobState.CANCELLED, on_progress=tell)


@contextmanager
def misuse(*kinds: type[Exception]) -> Iterator[None]:
    """Errors of these kinds, about what was typed, as a command says them."""
    try:
        yield
    except kinds as error:
        raise BadUsage(str(error)) from error
