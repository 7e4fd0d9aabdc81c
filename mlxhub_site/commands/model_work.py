"""`mlx-hub convert | fuse | export | verify`: work on models from the terminal.

It is the same job as on the page, run by this process: Ctrl-C cancels it. Django is set
up by the time a command runs, and not before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from django.core.management import CommandError
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from mlxhub_site.commands.hub.options import here_only
from mlxhub_site.commands.interrupts import interrupts
from mlxhub_site.commands.registry import Name, named

if TYPE_CHECKING:
    from apps.models.models import Adapter
    from apps.models.work.models import ModelJob

here = here_only("the command carries the job out itself, with a bar. Order it at that hub's page.")

NewName = Annotated[str, typer.Option("--name", help="What the new model is to be called.")]
Measure = Annotated[bool, typer.Option(help="Compare perplexity and speed with the original's.")]


@here
def convert(
    name: Name,
    new_name: NewName,
    bits: Annotated[int | None, typer.Option(help="2, 3, 4, 5, 6 or 8; default: 4.")] = None,
    group_size: Annotated[int | None, typer.Option(help="32, 64 or 128; default: 64.")] = None,
    mode: Annotated[str, typer.Option(help="affine, mxfp4, nvfp4 or mxfp8.")] = "affine",
    mixed: Annotated[
        str | None, typer.Option(help="mixed_2_6, mixed_3_4, mixed_3_6 or mixed_4_6.")
    ] = None,
    unpack: Annotated[bool, typer.Option("--unpack", help="No quantisation at all.")] = False,
    dtype: Annotated[
        str | None, typer.Option(help="float16, bfloat16 or float32, of what is not packed.")
    ] = None,
    measure: Measure = True,
) -> None:
    """Write a model anew as another one: quantised, or unpacked."""
    from apps.models.naming import slug_from
    from apps.models.runtime.work.orders import Quantization
    from apps.models.work import services
    from apps.models.work.plans import ConvertPlan

    packing = {"bits": bits, "group_size": group_size, "mode": mode, "mixed": mixed}
    try:
        quantization = None if unpack else Quantization.model_validate(packing)
        plan = ConvertPlan.model_validate(
            {"slug": slug_from(new_name), "name": new_name, "dtype": dtype, "measure": measure}
        )
    except ValidationError as error:
        raise CommandError(_described(error)) from error
    with _refusals():
        job = services.order_conversion(
            model=named(name).model,
            slug=plan.slug,
            name=plan.name,
            quantization=quantization,
            dtype=plan.dtype,
            measure=plan.measure,
        )
    _carry_out(job)


@here
def fuse(
    name: Annotated[str, typer.Argument(metavar="MODEL:ADAPTER")],
    new_name: NewName,
    dequantize: Annotated[
        bool, typer.Option("--dequantize", help="Leave the result unpacked.")
    ] = False,
    measure: Measure = True,
) -> None:
    """Make an adapter part of the weights of a new model."""
    from apps.models.naming import slug_from
    from apps.models.work import services

    adapter = _adapter(name)
    with _refusals():
        job = services.order_fusion(
            adapter=adapter,
            slug=slug_from(new_name),
            name=new_name,
            dequantize=dequantize,
            measure=measure,
        )
    _carry_out(job)


@here
def export(
    name: Name,
    to: Annotated[
        Path | None, typer.Option(help="Where to; default: exports in the data folder.")
    ] = None,
    gguf: Annotated[bool, typer.Option("--gguf", help="One GGUF file, not a folder.")] = False,
) -> None:
    """Write a model for other programs: a copy of its folder, or one GGUF file."""
    from apps.models.work import services

    with _refusals():
        job = services.order_export(
            model=named(name).model, format="gguf" if gguf else "folder", destination=to
        )
    _carry_out(job)


@here
def verify(name: Name) -> None:
    """Compare every file of a model with what was registered. Exit status 1 where one differs."""
    from apps.models.work import services

    _carry_out(services.order_verification(model=named(name).model))


def _carry_out(job: ModelJob) -> None:
    """Run the job here, with a bar; its figures, or why it did not get to its end."""
    from apps.jobs.models import JobState
    from apps.jobs.turns import AnotherWorks
    from apps.models.work import services
    from apps.models.work.running import run

    console = Console()
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar, interrupts() as interrupted:
        task = bar.add_task("Starting", total=1.0)

        def tell(doing: str, fraction: float) -> None:
            bar.update(task, completed=fraction, description=escape(doing.capitalize()))

        try:
            run(job, stops=interrupted, stopped_as=JobState.CANCELLED, on_progress=tell)
        except AnotherWorks as error:
            services.cancel(job=job)
            raise CommandError(
                "Another training, conversion or fusion runs. Try again after it."
            ) from error
    _report(job, console)


def _report(job: ModelJob, console: Console) -> None:
    from apps.jobs.models import JobState
    from apps.models.work.shown import figures_of, notes_of

    if job.is_active:
        raise CommandError(f"The hub's worker is at it already: job {job.pk} on its Jobs page.")
    if job.state != JobState.DONE:
        raise CommandError(job.error or "It was cancelled, and nothing of it is left.")
    if damage := job.figures.get("damage"):
        raise CommandError(damage)
    if rows := figures_of(job):
        table = Table("Figure", "Before", "After", "Change", box=None)
        for row in rows:
            table.add_row(row.label, row.before, row.after, row.change)
        console.print(table)
    for note in notes_of(job):
        console.print(escape(note))
    if job.result is not None:
        typer.echo(f"{job.result.name} is ready ({job.result.slug}).")
    elif place := job.figures.get("destination"):
        typer.echo(f"Written to {place}.")
    else:
        typer.echo(f"All {job.figures['files']} files are what was registered.")


@contextmanager
def _refusals() -> Iterator[None]:
    from apps.models.errors import RegistryError

    try:
        yield
    except RegistryError as error:
        raise CommandError(str(error)) from error


def _adapter(name: str) -> Adapter:
    chosen = named(name)
    if chosen.adapter is None:
        raise CommandError(f"Name an adapter too, as {chosen.name}:ADAPTER.")
    return chosen.adapter


def _described(error: ValidationError) -> str:
    """pydantic's first complaint, by the option it is about."""
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    option = "--" + "-".join(str(part) for part in first["loc"]).replace("_", "-")
    return f"{option}: {message}" if first["loc"] else message
