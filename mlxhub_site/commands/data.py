"""`mlx-hub data …`: datasets in the terminal.

It is the same job as on the page, run by this process: Ctrl-C cancels it. Django is set
up by the time a command runs, and not before.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console
from rich.table import Table

from mlxhub_site.commands.data_jobs import carry_out, change, refusals, version_of
from mlxhub_site.commands.data_rows import drop, languages, map_columns, mask
from mlxhub_site.commands.data_sources import fetched, from_chats, merge, sample
from mlxhub_site.commands.hub.options import for_any_hub, here_only, hub
from mlxhub_site.commands.output import console, print_json, text

if TYPE_CHECKING:
    from apps.datasets.exporting import Format

commands = typer.Typer(no_args_is_help=True, help="Make datasets of files, check and split them.")

Name = Annotated[str, typer.Argument(metavar="DATASET", help="As `mlx-hub data list` has it.")]
Number = Annotated[
    int | None, typer.Option("--version", min=1, help="Default: the present version.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

here = here_only("it reads and writes files there.")


@commands.command("import")
@here
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
) -> None:
    """Read a source into a new dataset."""
    from apps.datasets import services

    if source.startswith("hf:"):
        job = fetched(source, name=name, revision=revision)
    else:
        path = Path(source).expanduser()
        with refusals():
            job = services.order_import(path=path, name=name, run_here=True)
    carry_out(job)
    version = job.dataset.version(None)
    typer.echo(f"{job.dataset.slug}: {version.rows:,} rows. {version.change}.")
    for fault, count in job.dataset.version(1).facts["unreadable"].items():
        typer.echo(f"Not imported: {count:,} of {fault.replace('_', ' ')}.", err=True)


@commands.command("list")
@for_any_hub
def list_data(as_json: AsJson = False) -> None:
    """List the datasets."""
    with hub() as client:
        datasets = client.get("/api/datasets", limit=500)["datasets"]
    if as_json:
        print_json(datasets)
        return
    if not datasets:
        typer.echo("No dataset yet. `mlx-hub data import PATH` makes one.")
        return
    table = Table("Name", "Kind", "Train", "Validation", "Version", box=None, pad_edge=False)
    for each in datasets:
        head = each["head"]
        if head is None:
            table.add_row(text(each["slug"]), "no rows yet")
            continue
        counts = (f"{head['train_rows']:,}", f"{head['valid_rows']:,}", str(head["number"]))
        table.add_row(text(each["slug"]), text(head["kind"]), *counts)
    console().print(table)


@commands.command()
@here
def check(
    name: Name,
    number: Number = None,
    near: Annotated[bool, typer.Option("--near", help="Look for near duplicates too.")] = False,
) -> None:
    """Tell what is wrong with the rows. Exit status 1 where some can't be learnt from."""
    from apps.datasets import services
    from apps.datasets.shown import personal_counts, problem_counts

    version = version_of(name, number)
    if near:
        with refusals():
            job = services.order(version=version, kind="near", plan={}, run_here=True)
        carry_out(job)
    table = Table("Problem", "Rows", "", box=None)
    table.columns[1].justify = "right"
    for each in (*problem_counts(version), *personal_counts(version)):
        table.add_row(each.label, f"{each.count:,}", "can't be learnt from" * each.is_error)
    if table.row_count:
        Console().print(table)
    else:
        typer.echo(f"Nothing is wrong with the {version.rows:,} rows.")
    if version.facts["faulty"]:
        raise typer.Exit(1)


@commands.command()
@here
def stats(name: Name, number: Number = None, as_json: AsJson = False) -> None:
    """Tell how many rows there are and how long they are."""
    version = version_of(name, number)
    facts = version.facts
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    table = Table(show_header=False, box=None)
    table.add_row("kind", version.get_kind_display())
    for split in ("train", "valid", "test"):
        table.add_row(f"{split} rows", f"{getattr(version, f'{split}_rows'):,}")
    table.add_row("characters", f"{facts['characters']:,}")
    for part, value in facts["quantiles"].items():
        table.add_row(f"characters, {float(part):.0%} of rows", f"{value:,.0f}")
    Console().print(table)


@commands.command()
@here
def split(
    name: Name,
    valid: Annotated[float, typer.Option(min=0, max=0.5, help="Share of validation.")] = 0.1,
    test: Annotated[float, typer.Option(min=0, max=0.4, help="Share of test.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1)] = 0,
    group_by: Annotated[str, typer.Option(help="Rows that agree in it stay together.")] = "",
    stratify_by: Annotated[str, typer.Option(help="Each of its values is split alike.")] = "",
) -> None:
    """Divide the rows into training, validation and test."""
    plan = {"valid": valid, "test": test, "seed": seed}
    change(name, "split", plan | {"group_by": group_by, "stratify_by": stratify_by})


@commands.command()
@here
def export(
    name: Name,
    to: Annotated[Path, typer.Option(help="An empty or new folder.")],
    format: Annotated[
        str, typer.Option(help="jsonl (what mlx-lm reads), openai, sharegpt or parquet.")
    ] = "jsonl",
    number: Number = None,
) -> None:
    """Write the rows to a folder, a file for each split."""
    from apps.datasets import exporting

    version = version_of(name, number)
    with refusals():
        exporting.require_format(version, format)
        files = exporting.export(version=version, to=to, format=cast("Format", format))
    for file in files:
        typer.echo(str(file))


commands.command("map")(here(map_columns))
commands.command()(here(drop))
commands.command()(here(mask))
commands.command()(here(languages))
commands.command("from-chats")(here(from_chats))
commands.command()(here(merge))
commands.command()(here(sample))
