"""`mlx-hub data …`: what comes into datasets: files, Hugging Face, chats and other datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mlxhub_site.commands.data_jobs import (
    Name,
    address,
    change,
    done,
    misuse,
    rows_in,
    tell_version,
    version_of,
)
from mlxhub_site.commands.data_sending import send
from mlxhub_site.commands.downloads import followed
from mlxhub_site.commands.hub.client import HubClient
from mlxhub_site.commands.hub.options import for_any_hub, hub
from mlxhub_site.commands.job_kinds import Job
from mlxhub_site.commands.outcome import BadUsage, CommandFailed
from mlxhub_site.commands.output import AsJson, print_json

HUB_PREFIX = "hf:"


@for_any_hub
def import_data(
    source: Annotated[
        str,
        typer.Argument(
            help="A file, a ZIP, a folder of files, or a dataset on Hugging Face as "
            "hf:OWNER/NAME[:CONFIG][/SPLIT]."
        ),
    ],
    name: Annotated[str, typer.Option(help="What to call it; default: as the file.")] = "",
    revision: Annotated[
        str, typer.Option(help="Of a dataset on Hugging Face; default: newest.")
    ] = "",
    rows: Annotated[
        int | None,
        typer.Option(min=1, help="Of a dataset on Hugging Face: only the first of each split."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read a source into a new dataset. What lies here is sent where the hub is elsewhere."""
    if not source.startswith(HUB_PREFIX) and (revision or rows):
        raise BadUsage("--revision and --rows are for a dataset on Hugging Face, hf:OWNER/NAME.")
    with hub() as client:
        if source.startswith(HUB_PREFIX):
            job = _fetched(client, source, {"name": name, "revision": revision, "rows": rows})
        elif client.is_remote:
            job = send(client, Path(source).expanduser(), name)
        else:
            path = str(Path(source).expanduser().absolute())
            job = client.post("/api/datasets", {"path": path, "name": name})
        _tell_import(client, done(client, job), as_json=as_json)


def _fetched(client: HubClient, source: str, options: dict[str, Any]) -> Job:
    """The import of a dataset on Hugging Face once its files are there. Raises CommandFailed."""
    from apps.discovery.data.reference import data_reference
    from apps.discovery.errors import InvalidRepoId

    with misuse(InvalidRepoId):
        named = data_reference(source)
    order = {"repo_id": named.repo_id, "config": named.config, "splits": list(named.splits)}
    ordered = client.post("/api/downloads/datasets", order | options)
    download = followed(client, ordered["download"])
    if download["state"] == "paused":
        raise CommandFailed("It was paused. The same command goes on from here.")
    if download["state"] != "done" or download["dataset"] is None:
        raise CommandFailed(download["error"] or "It was cancelled, and its files are removed.")
    jobs: list[Job] = client.get(f"{address(download['dataset'])}/jobs", limit=500)["jobs"]
    return jobs[-1]  # its first one


def _tell_import(client: HubClient, job: Job, *, as_json: bool) -> None:
    """Say what came of it, and what of the source is not in it."""
    name = job["dataset"]
    made = version_of(client, name)
    unreadable = client.get(f"{address(name)}/statistics", version=1)["unreadable"]
    if as_json:
        print_json({"dataset": name} | made | {"unreadable": unreadable})
        return
    typer.echo(f"{name}: {rows_in(made):,} rows. {made['change']}.")
    for fault, count in unreadable.items():
        typer.echo(f"Not imported: {count:,} of {fault.replace('_', ' ')}.", err=True)


@for_any_hub
def from_chats(
    kind: Annotated[str, typer.Option(help="chat, or preference for pairs of answers.")] = "chat",
    which: Annotated[
        str,
        typer.Option(help="shown: whole conversations; liked: only liked or corrected answers."),
    ] = "shown",
    conversation: Annotated[
        list[str] | None, typer.Option(help="A conversation's id; repeat it. Default: all.")
    ] = None,
    name: Annotated[str, typer.Option(help="Of the new dataset.")] = "Conversations",
    add_to: Annotated[str, typer.Option(help="A dataset to add to, instead of a new one.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count the rows.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a dataset of the playground's conversations, ratings and corrections."""
    pick = {"kind": kind, "which": which, "conversations": conversation or []}
    with hub() as client:
        if dry_run:
            found = client.post("/api/conversations/rows", pick)
            if as_json:
                print_json(found)
                return
            typer.echo(f"{found['total']:,} rows of {found['conversations']:,} conversations.")
            return
        job = client.post("/api/conversations/dataset", pick | {"name": name, "dataset": add_to})
        tell_version(client, done(client, job), as_json=as_json)


@for_any_hub
def merge(
    name: Name,
    other: Annotated[str, typer.Argument(help="The dataset whose rows are added.")],
    number: Annotated[
        int | None, typer.Option("--version", min=1, help="Of the other; default: the present.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add the rows of another dataset of the same kind, each to its split."""
    with hub() as client:
        order = {"kind": "merge", "other": other, "other_version": number}
        change(client, name, order, as_json=as_json)
