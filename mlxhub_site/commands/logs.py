"""`mlx-hub logs`: what a training or the hub's processes wrote, and what they write next."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from mlxhub_site.commands.following import LOOK_SECONDS
from mlxhub_site.commands.hub.client import HubClient
from mlxhub_site.commands.hub.options import for_any_hub, hub
from mlxhub_site.commands.job_kinds import ACTIVE
from mlxhub_site.commands.outcome import BadUsage
from mlxhub_site.commands.output import harmless

PROCESSES = ("web", "engine", "worker", "hub", "trainer")
"""As the API has them. ``hub``: what `mlx-hub up` itself said."""

MOST = 1000
"""Lines that the API gives at once."""

OVERLAP = timedelta(seconds=2)
"""Looked back: a line may be written behind a later one of another process."""

Line = dict[str, Any]


@for_any_hub
def logs(
    of: Annotated[
        str,
        typer.Argument(
            metavar="[JOB|PROCESS]",
            help="A training, as `mlx-hub jobs` has it, or one of web, engine, worker, hub and "
            "trainer. Default: all processes.",
        ),
    ] = "",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Until the job stands still, or Ctrl-C.")
    ] = False,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=1, max=MOST, help="Of processes: the last ones.")
    ] = 100,
    as_json: Annotated[
        bool,
        typer.Option("--json", "--events", help="JSON lines: a job's figures, or all of a line."),
    ] = False,
) -> None:
    """Print the end of a training's log, or of the logs of the hub's processes."""
    if not of.isdecimal() and of not in ("", *PROCESSES):
        raise BadUsage(f"{of!r} is no job's number and none of {', '.join(PROCESSES)}.")
    with hub() as client:
        if of.isdecimal():
            _print_job(client, int(of), follow=follow, events=as_json)
            return
        for line in _lines(client, of, last=lines, follow=follow):
            typer.echo(json.dumps(line, ensure_ascii=False) if as_json else _readable(line))


def _print_job(client: HubClient, key: int, *, follow: bool, events: bool) -> None:
    path = f"/api/training/jobs/{key}"
    read: int | None = None
    while True:
        active = client.look(path)["state"] in ACTIVE
        tail = client.look(f"{path}/tail/{'events' if events else 'log'}", after=read)
        typer.echo(harmless(tail["text"]), nl=False)
        more = bool(tail["text"]) and read is not None
        read = tail["next"]
        if more:
            continue
        if not (follow and active):
            return
        time.sleep(LOOK_SECONDS)


def _lines(client: HubClient, process: str, *, last: int, follow: bool) -> Iterator[Line]:
    """The last ones, the oldest of them first; then those that come."""
    path = "/api/system/logs"
    found = client.get(path, process=process, limit=MOST if follow else last)["lines"]
    yield from reversed(found[:last])
    while follow:
        time.sleep(LOOK_SECONDS)
        known = {_key(line) for line in found}
        newest = next((line for line in found if line["time"]), None)
        since = (_moment(newest) - OVERLAP).isoformat() if newest else None
        found = client.look(path, process=process, after=since, limit=MOST)["lines"] or found
        yield from (line for line in reversed(found) if _key(line) not in known)


def _key(line: Line) -> tuple[str, ...]:
    return line["time"] or "", line["process"], line["message"]


def _moment(line: Line) -> datetime:
    return datetime.fromisoformat(line["time"])


def _readable(line: Line) -> str:
    """A line for people: when by this machine's clock, who, how grave, what."""
    head = f"{_moment(line).astimezone():%Y-%m-%d %H:%M:%S} " if line["time"] else ""
    level = "" if line["level"] in ("", "output", "info") else f"{line['level'].upper()} "
    tail = f"\n{line['exception']}" if line["exception"] else ""
    return harmless(f"{head}{line['process']:<7} {level}{line['message']}{tail}")
