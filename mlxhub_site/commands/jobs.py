"""`mlx-hub jobs | pause | stop`: jobs listed, trainings steered."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from mlxhub_site.commands import job_control
from mlxhub_site.commands.hub.options import for_any_hub, hub
from mlxhub_site.commands.job_kinds import ACTIVE, TRAINING, Job, named, others
from mlxhub_site.commands.outcome import BadUsage
from mlxhub_site.commands.output import WIDE, AsJson, console, harmless, print_json, text


def number_of(given: str) -> int:
    """Of the training that was named. Raises BadUsage."""
    job = named(given)
    if job.kind is not TRAINING:
        raise BadUsage(
            f"{job} is no training. `mlx-hub jobs cancel {job}`, and pause and resume there, are "
            "for jobs of every kind."
        )
    return job.number


def _number_to_stop(given: str) -> int:
    """Raises BadUsage, also with what is called so elsewhere: stopping a model."""
    try:
        named(given)
    except BadUsage as error:
        raise BadUsage(f"{error} A model's memory is freed by `mlx-hub unload MODEL`.") from error
    return number_of(given)


Number = Annotated[
    int, typer.Argument(metavar="JOB", parser=number_of, help="As `mlx-hub jobs` has it.")
]

_SHOWN = ("job", "subject", "state", "doing")
"""Columns of what is no training."""

commands = typer.Typer()


@commands.callback(invoke_without_command=True)
@for_any_hub
def jobs(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    everything: Annotated[
        bool, typer.Option("--all", help="Jobs of every kind: downloads, conversions, …")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the training jobs, the newest first; with a command, steer jobs of any kind."""
    if context.invoked_subcommand is not None:
        _require_no_option(context)
        return
    with hub() as client:
        found = client.get("/api/training/jobs", limit=limit)
        rest = list(others(client, limit)) if everything else []
    if as_json:
        print_json(found | {"others": rest} if everything else found)
        return
    out = console()
    if found["jobs"]:
        out.print(_jobs_table(found["jobs"], wide=out.width >= WIDE))
    else:
        out.print("No training job yet. `mlx-hub train MODEL --data DATA --name NAME` makes one.")
    if rest:
        table = Table("Job", "Subject", "State", "Doing", box=None, pad_edge=False)
        table.columns[0].no_wrap = True  # to be copied
        for each in rest:
            table.add_row(*map(text, (each[name] for name in _SHOWN)))
        out.print(table)


commands.command()(job_control.cancel)
commands.command()(job_control.pause)
commands.command()(job_control.resume)


@for_any_hub
def stop(
    key: Annotated[
        int, typer.Argument(metavar="JOB", parser=_number_to_stop, help="A training's number.")
    ],
    cancel: Annotated[bool, typer.Option("--cancel", help="Save nothing more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Stop a training with a checkpoint and its result as it is. It may be resumed."""
    with hub() as client:
        job = client.post(f"/api/training/jobs/{key}/{'cancel' if cancel else 'stop'}")
    if as_json:
        print_json(job)
        return
    state = "stopping" if job["state"] in ACTIVE else job["state"]
    typer.echo(harmless(f"{job['name']}: {state}."))


@for_any_hub
def pause(key: Number, as_json: AsJson = False) -> None:
    """Have a training save a checkpoint and give its turn back. `resume` goes on with it."""
    with hub() as client:
        job = client.post(f"/api/training/jobs/{key}/pause")
    if as_json:
        print_json(job)
        return
    state = "pausing" if job["state"] == "running" else job["state"]
    typer.echo(harmless(f"{job['name']}: {state}."))


def _require_no_option(context: typer.Context) -> None:
    """Raises BadUsage for an option of the list before a command, which would not see it.

    ``--url`` above all: the command would act on this machine's hub.
    """
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            raise BadUsage(
                f"Write {parameter.opts[0]} behind `mlx-hub jobs {context.invoked_subcommand}`."
            )


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
