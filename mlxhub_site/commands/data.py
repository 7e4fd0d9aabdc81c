"""`mlx-hub data …`: datasets in the terminal, of this machine's hub or another one."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from mlxhub_site.commands.data_export import export
from mlxhub_site.commands.data_jobs import (
    Name,
    Number,
    address,
    change,
    examined,
    version_of,
)
from mlxhub_site.commands.data_rows import drop, languages, map_columns, mask
from mlxhub_site.commands.data_sources import from_chats, import_data, merge
from mlxhub_site.commands.hub.client import HubClient
from mlxhub_site.commands.hub.options import for_any_hub, hub
from mlxhub_site.commands.output import AsJson, console, print_json, text

commands = typer.Typer(no_args_is_help=True, help="Make datasets of files, check and split them.")

Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1)]

commands.command("import")(import_data)


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
@for_any_hub
def check(
    name: Name,
    number: Number = None,
    near: Annotated[bool, typer.Option("--near", help="Look for near duplicates too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell what is wrong with the rows. Exit status 1 where some can't be learnt from."""
    with hub() as client:
        if near:
            examined(client, name, {"kind": "near"}, version=number)
        facts = client.get(f"{address(name)}/statistics", version=number)
        problems = facts["problems"] | _near_duplicates(client, name, number)
    table = _faults_table(problems, facts["personal"])
    if as_json:
        print_json(facts | {"problems": problems})
    elif table.row_count:
        console().print(table)
    else:
        typer.echo(f"Nothing is wrong with the {facts['rows']:,} rows.")
    if facts["faulty"]:
        raise typer.Exit(1)


@commands.command()
@for_any_hub
def stats(name: Name, number: Number = None, as_json: AsJson = False) -> None:
    """Tell how many rows there are and how long they are."""
    with hub() as client:
        version = version_of(client, name, number)
        facts = client.get(f"{address(name)}/statistics", version=version["number"])
    if as_json:
        print_json(facts)
        return
    table = Table(show_header=False, box=None)
    table.add_row("kind", text(version["kind"]))
    for split in ("train", "valid", "test"):
        table.add_row(f"{split} rows", f"{version[f'{split}_rows']:,}")
    table.add_row("characters", f"{facts['characters']:,}")
    for part, value in facts["quantiles"].items():
        table.add_row(f"characters, {float(part):.0%} of rows", f"{value:,.0f}")
    console().print(table)


@commands.command()
@for_any_hub
def split(
    name: Name,
    valid: Annotated[float, typer.Option(min=0, max=0.5, help="Share of validation.")] = 0.1,
    test: Annotated[float, typer.Option(min=0, max=0.4, help="Share of test.")] = 0.0,
    seed: Seed = 0,
    group_by: Annotated[str, typer.Option(help="Rows that agree in it stay together.")] = "",
    stratify_by: Annotated[str, typer.Option(help="Each of its values is split alike.")] = "",
    as_json: AsJson = False,
) -> None:
    """Divide the rows into training, validation and test."""
    order = {
        "kind": "split",
        "valid": valid,
        "test": test,
        "seed": seed,
        "group_by": group_by,
        "stratify_by": stratify_by,
    }
    with hub() as client:
        change(client, name, order, as_json=as_json)


@commands.command()
@for_any_hub
def sample(
    name: Name,
    rows: Annotated[int, typer.Option(min=0, help="Training rows to keep; 0: all.")] = 0,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Shuffle the training rows, and keep so many of them."""
    with hub() as client:
        order = {"kind": "sample", "rows": rows, "seed": seed}
        change(client, name, order, as_json=as_json)


commands.command("map")(map_columns)
commands.command()(drop)
commands.command()(mask)
commands.command()(languages)
commands.command("from-chats")(from_chats)
commands.command()(merge)
commands.command()(export)


def _near_duplicates(client: HubClient, name: str, number: int | None) -> dict[str, int]:
    """How many there are, once somebody looked: the statistics are older than that."""
    found = client.get(f"{address(name)}/rows", version=number, problem="NEAR_DUPLICATE", limit=1)
    return {"NEAR_DUPLICATE": found["total"]} if found["total"] else {}


def _faults_table(problems: dict[str, int], personal: dict[str, int]) -> Table:
    from apps.datasets.formats.checks import DESCRIPTIONS
    from apps.datasets.formats.personal import LABELS

    table = Table("Problem", "Rows", "", box=None)
    table.columns[1].justify = "right"
    for bit, said in DESCRIPTIONS.items():
        if count := problems.get(str(bit.name)):
            table.add_row(said.label, f"{count:,}", "can't be learnt from" * said.is_error)
    for kind, label in LABELS.items():
        if count := personal.get(str(kind.name)):
            table.add_row(label, f"{count:,}", "")
    return table
