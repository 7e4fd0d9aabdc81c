"""`mlx-hub pull`: a model from Hugging Face, watched until it is here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Protocol

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from apps.models.sizes import readable
from mlxhub_site.commands.following import LOOK_SECONDS, has_worker
from mlxhub_site.commands.hub.client import HubClient
from mlxhub_site.commands.hub.options import for_any_hub, hub
from mlxhub_site.commands.job_kinds import ACTIVE
from mlxhub_site.commands.outcome import CommandFailed, Interrupted
from mlxhub_site.commands.output import AsJson, console, print_json, text


class Show(Protocol):
    """Called with the present stage, in words, and the bytes of all files that are there."""

    def __call__(self, doing: str, done: int) -> None: ...


@for_any_hub
def pull(
    repo: Annotated[str, typer.Argument(help="A repository on Hugging Face, as OWNER/NAME.")],
    name: Annotated[
        str, typer.Option(help="What to call the model there; default: as on Hugging Face.")
    ] = "",
    revision: Annotated[str, typer.Option(help="Branch, tag or commit; default: newest.")] = "",
    detach: Annotated[
        bool, typer.Option("--detach", help="Leave it to the worker and return at once.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Download a model from Hugging Face and register it. Goes on where it was interrupted."""
    with hub() as client:
        order = {"repo_id": repo, "name": name, "revision": revision}
        ordered = client.post("/api/downloads", order)
        download = ordered["download"]
        if download is not None and not detach:
            if ordered["joined"]:
                typer.echo(f"{repo} is on its way already.", err=True)
            download = ordered["download"] = followed(client, download)
    if as_json:
        print_json(ordered)
    else:
        typer.echo(_told(repo, ordered))
    if download is not None and download["state"] in ("failed", "cancelled", "interrupted"):
        raise CommandFailed(download["error"] or f"The download was {download['state']}.")


def _told(repo: str, ordered: dict[str, Any]) -> str:
    download = ordered["download"]
    if download is None:
        return f"{repo} is here already, as {ordered['here']}."
    match download["state"]:
        case "done":
            return f"{download['model']} is ready."
        case "paused":
            return "It was paused. The same command goes on from here."
        case "queued" | "running":
            size = readable(download["bytes_total"])
            return f"{repo} ({size}) is in the queue of the worker. `mlx-hub jobs --all` shows it."
        case state:
            return f"{repo} is {state}."


def followed(client: HubClient, download: dict[str, Any]) -> dict[str, Any]:
    """The download when it stands still. Ctrl-C leaves it to the worker, where there is one."""
    path = f"/api/downloads/{download['id']}"
    try:
        with shown(download["bytes_total"]) as show:
            while download["state"] in ACTIVE:
                show(download["doing"], download["bytes_done"])
                if not has_worker(client):
                    _bring_here(download["id"], show)
                download = client.look(path)
                if download["state"] in ACTIVE:
                    time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        if has_worker(client):
            raise Interrupted(
                "Stopped looking. The hub goes on with it. `mlx-hub jobs cancel "
                f"download-{download['id']}` ends it."
            ) from None
        raise Interrupted("It is paused. The same command goes on from here.") from None
    return download


def _bring_here(key: int, show: Show) -> None:
    """Do the worker's part."""
    from apps.discovery.downloads.following import run_here
    from apps.discovery.downloads.models import Download

    run_here(Download.objects.get(pk=key), show)


@contextmanager
def shown(total: int) -> Iterator[Show]:
    """A bar with rate and time left on a terminal; elsewhere a line for each stage."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield _lines()
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda doing, done: bar.update(task, description=text(doing), completed=done)


def _lines() -> Show:
    last = ""

    def show(doing: str, done: int) -> None:
        nonlocal last
        stage = doing.partition(". Try ")[0]  # the seconds until then would be a line each
        if stage and stage != last:
            last = stage
            typer.echo(f"  {doing}", err=True)

    return show
