"""`mlx-hub data …`: datasets in the terminal.

It is the same job as on the page, run by this process: Ctrl-C cancels it. Django is set
up by the time a command runs, and not before.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from django.core.management import CommandError
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from apps.datasets.models import DatasetJob, DatasetVersion

commands = typer.Typer(no_args_is_help=True, help="Make datasets of files, check and split them.")

Name = Annotated[str, typer.Argument(metavar="DATASET", help="As `mlx-hub data list` has it.")]
Number = Annotated[
    int | None, typer.Option("--version", min=1, help="Default: the present version.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@commands.command("import")
def import_data(
    path: Annotated[Path, typer.Argument(help="A file, a ZIP, or a folder of files.")],
    name: Annotated[str, typer.Option(help="What to call it; default: as the file.")] = "",
) -> None:
    """Read a source into a new dataset."""
    from apps.datasets import services

    with _refusals():
        job = services.order_import(path=path.expanduser(), name=name, run_here=True)
    _carry_out(job)
    version = job.dataset.version(None)
    typer.echo(f"{job.dataset.slug}: {version.rows:,} rows. {version.change}.")
    for fault, count in job.dataset.version(1).facts["unreadable"].items():
        typer.echo(f"Not imported: {count:,} of {fault.replace('_', ' ')}.", err=True)


@commands.command("list")
def list_data(as_json: AsJson = False) -> None:
    """List the datasets."""
    from apps.datasets.models import Dataset
    from apps.datasets.schemas import DatasetOut

    datasets = list(Dataset.objects.newest_first())
    if as_json:
        typer.echo(json.dumps([DatasetOut.of(each).model_dump(mode="json") for each in datasets]))
        return
    if not datasets:
        typer.echo("No dataset yet. `mlx-hub data import PATH` makes one.")
        return
    table = Table("Name", "Kind", "Train", "Validation", "Version", box=None)
    for each in datasets:
        head = each.head
        if head is None:
            table.add_row(escape(each.slug), "no rows yet")
            continue
        counts = (f"{head.train_rows:,}", f"{head.valid_rows:,}", str(head.number))
        table.add_row(escape(each.slug), head.get_kind_display(), *counts)
    Console().print(table)


@commands.command()
def check(
    name: Name,
    number: Number = None,
    near: Annotated[bool, typer.Option("--near", help="Look for near duplicates too.")] = False,
) -> None:
    """Tell what is wrong with the rows. Exit status 1 where some can't be learnt from."""
    from apps.datasets import services
    from apps.datasets.shown import personal_counts, problem_counts

    version = _version(name, number)
    if near:
        with _refusals():
            job = services.order(version=version, kind="near", plan={}, run_here=True)
        _carry_out(job)
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
def stats(name: Name, number: Number = None, as_json: AsJson = False) -> None:
    """Tell how many rows there are and how long they are."""
    version = _version(name, number)
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
def drop(
    name: Name,
    problem: Annotated[
        list[str], typer.Option(help="A problem, such as duplicate or empty; repeat it.")
    ],
) -> None:
    """Remove the rows that have a problem."""
    from apps.datasets.formats.checks import Problem

    wanted = [each.upper().replace("-", "_").replace(" ", "_") for each in problem]
    if unknown := [each for each in wanted if each not in Problem.__members__]:
        names = ", ".join(bit.lower() for bit in Problem.__members__)
        raise CommandError(f"There is no problem {unknown[0].lower()!r}. There are: {names}.")
    _change(name, "drop", {"problems": sum(int(Problem[each]) for each in set(wanted))})


@commands.command()
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
    _change(name, "split", plan | {"group_by": group_by, "stratify_by": stratify_by})


@commands.command()
def export(
    name: Name,
    to: Annotated[Path, typer.Option(help="An empty or new folder.")],
    number: Number = None,
) -> None:
    """Copy the rows to a folder in mlx-lm's shape."""
    from apps.datasets import services

    version = _version(name, number)
    with _refusals():
        files = services.export(version=version, to=to)
    for file in files:
        typer.echo(str(file))


def _change(name: str, kind: str, plan: dict[str, Any]) -> None:
    from apps.datasets import services

    with _refusals():
        job = services.order(version=_version(name, None), kind=kind, plan=plan, run_here=True)
    _carry_out(job)
    if job.result is not None:
        made = job.result
        typer.echo(f"{name}, version {made.number}: {made.rows:,} rows. {made.change}.")


def _version(name: str, number: int | None) -> DatasetVersion:
    from apps.datasets.models import Dataset

    with _refusals():
        return Dataset.objects.named(name).version(number)


def _carry_out(job: DatasetJob) -> None:
    """Run the job here, with a bar. Raises CommandError where it does not get to its end."""
    from apps.datasets.running import run
    from apps.jobs.models import JobState

    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    )  # fmt: skip
    with Progress(*columns, transient=True) as bar, _interrupts() as interrupted:
        task = bar.add_task("Starting", total=1.0)

        def tell(doing: str, fraction: float) -> None:
            bar.update(task, completed=fraction, description=escape(doing.capitalize()))

        run(job, stops=interrupted, stopped_as=JobState.CANCELLED, on_progress=tell)
    if job.is_active:  # one that just started takes up whatever waits
        raise CommandError("The hub's worker took the job up. The Data page shows how it fares.")
    if job.state != JobState.DONE:
        raise CommandError(job.error or "It was cancelled, and nothing of it is left.")
    job.dataset.refresh_from_db()


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Set by Ctrl-C, which so ends the job rather than the process in the middle of it."""
    interrupted = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _refusals() -> Iterator[None]:
    from apps.datasets.errors import DatasetError
    from apps.datasets.formats.errors import FormatError

    try:
        yield
    except (DatasetError, FormatError) as error:
        raise CommandError(str(error)) from error
