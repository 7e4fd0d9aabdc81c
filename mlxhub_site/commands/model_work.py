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
from pydantic import ValidationError
from rich.table import Table

from mlxhub_site.commands.hub.options import here_only
from mlxhub_site.commands.interrupts import interrupts
from mlxhub_site.commands.job_kinds import name_of
from mlxhub_site.commands.outcome import BadUsage, CommandFailed, Refused
from mlxhub_site.commands.output import AsJson, console, print_json, progress_bar, text
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
    as_json: AsJson = False,
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
        raise BadUsage(_described(error)) from error
    with _refusals():
        job = services.order_conversion(
            model=named(name).model,
            slug=plan.slug,
            name=plan.name,
            quantization=quantization,
            dtype=plan.dtype,
            measure=plan.measure,
        )
    _carry_out(job, as_json=as_json)


@here
def fuse(
    name: Annotated[str, typer.Argument(metavar="MODEL:ADAPTER")],
    new_name: NewName,
    dequantize: Annotated[
        bool, typer.Option("--dequantize", help="Leave the result unpacked.")
    ] = False,
    measure: Measure = True,
    as_json: AsJson = False,
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
    _carry_out(job, as_json=as_json)


@here
def export(
    name: Name,
    to: Annotated[
        Path | None, typer.Option(help="Where to; default: exports in the data folder.")
    ] = None,
    gguf: Annotated[bool, typer.Option("--gguf", help="One GGUF file, not a folder.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a model for other programs: a copy of its folder, or one GGUF file."""
    from apps.models.work import services

    with _refusals():
        job = services.order_export(
            model=named(name).model, format="gguf" if gguf else "folder", destination=to
        )
    _carry_out(job, as_json=as_json)


@here
def verify(name: Name, as_json: AsJson = False) -> None:
    """Compare every file of a model with what was registered. Exit status 1 where one differs."""
    from apps.models.work import services

    job = services.order_verification(model=named(name).model)
    _carry_out(job, as_json=as_json)


def _carry_out(job: ModelJob, *, as_json: bool) -> None:
    """Run the job here, with a bar; its figures, or why it did not get to its end."""
    from apps.jobs.models import JobState
    from apps.jobs.turns import AnotherWorks
    from apps.models.work import services
    from apps.models.work.running import run

    with progress_bar() as tell, interrupts() as interrupted:
        try:
            run(job, stops=interrupted, stopped_as=JobState.CANCELLED, on_progress=tell)
        except AnotherWorks as error:
            services.cancel(job=job)
            raise Refused(
                "Another training, conversion or fusion runs. Try again after it."
            ) from error
    _require_success(job)
    if as_json:
        from apps.inference.registry.schemas import JobOut

        print_json(JobOut.of(job).model_dump(mode="json"))
    else:
        _report(job)


def _require_success(job: ModelJob) -> None:
    """Raises CommandFailed."""
    from apps.jobs.models import JobState

    if job.is_active:
        raise Refused(
            f"The hub's worker is at it already. `mlx-hub jobs --all` shows it as "
            f"{name_of(job.kind, job.pk)}."
        )
    if job.state != JobState.DONE:
        raise CommandFailed(job.error or "It was cancelled, and nothing of it is left.")
    if damage := job.figures.get("damage"):
        raise CommandFailed(damage)


def _report(job: ModelJob) -> None:
    from apps.models.work.shown import figures_of, notes_of

    out = console()
    if rows := figures_of(job):
        table = Table("Figure", "Before", "After", "Change", box=None)
        for row in rows:
            table.add_row(row.label, row.before, row.after, row.change)
        out.print(table)
    for note in notes_of(job):
        out.print(text(note))
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
        raise Refused(str(error)) from error


def _adapter(name: str) -> Adapter:
    chosen = named(name)
    if chosen.adapter is None:
        raise BadUsage(f"Name an adapter too, as {chosen.name}:ADAPTER.")
    return chosen.adapter


def _described(error: ValidationError) -> str:
    """pydantic's first complaint, by the option it is about."""
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    option = "--" + "-".join(str(part) for part in first["loc"]).replace("_", "-")
    return f"{option}: {message}" if first["loc"] else message
