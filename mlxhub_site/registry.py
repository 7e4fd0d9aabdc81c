"""`mlx-hub list | show | rm | disk`: the registry in the terminal.

Django is set up by the time a command runs, and not before.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from django.core.management import CommandError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from apps.inference.services import NamedModel
    from apps.models.models import LocalModel

WIDE = 100
"""Columns of a terminal from which a table shows everything."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as /api answers it.")]
Name = Annotated[str, typer.Argument(metavar="MODEL", help="A model, as `mlx-hub list` has it.")]


def list_models(
    words: Annotated[str, typer.Argument(metavar="[WORDS]", help="Part of a name.")] = "",
    kind: Annotated[str, typer.Option(help="chat, completion or embedding.")] = "",
    sort: Annotated[
        str, typer.Option(help="name, size_bytes, parameters, …; a dash before it turns it round.")
    ] = "name",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    as_json: AsJson = False,
) -> None:
    """List the models on this hub."""
    from apps.inference.registry.schemas import ModelList, ModelSummary
    from apps.models.listing import Wish, wanted

    models = wanted(Wish.of({"q": words, "kind": kind, "sort": sort}))
    page, total = list(models[:limit]), models.count()
    if as_json:
        listed = ModelList(models=[ModelSummary.of(model) for model in page], total=total)
        typer.echo(listed.model_dump_json(indent=2))
        return
    if not page:
        typer.echo("No model. `mlx-hub pull REPO` or `mlx-hub import PATH` adds one.")
        return
    console = Console()
    console.print(_models_table(page, wide=console.width >= WIDE))
    if total > len(page):
        console.print(f"{len(page)} of {total}; --limit shows more.")


def show(name: Name, as_json: AsJson = False) -> None:
    """Tell what a model is, where it comes from, and how it is served."""
    from apps.inference.registry.schemas import ModelDetail

    detail = ModelDetail.of(named(name).model)
    if as_json:
        typer.echo(detail.model_dump_json(indent=2))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in detail.model_dump(exclude={"defaults", "adapters", "recommended"}).items():
        if value not in ("", None):
            table.add_row(label.replace("_", " "), escape(_written(label, value)))
    said = {key: value for key, value in detail.defaults.model_dump().items() if value}
    for label, values in (("defaults", said), ("recommended", detail.recommended)):
        if values:
            shown = ", ".join(f"{key} {value}" for key, value in values.items())
            table.add_row(label, escape(shown))
    for adapter in detail.adapters:
        table.add_row("adapter", escape(f"{detail.slug}:{adapter.slug}"))
    Console().print(table)


def _written(field: str, value: object) -> str:
    """A field of a model as people read it."""
    from apps.models.sizes import readable

    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    if isinstance(value, int):
        return readable(value) if field == "size_bytes" else f"{value:,}"
    return str(value)


def remove(
    name: Annotated[str, typer.Argument(metavar="MODEL[:ADAPTER]")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Delete a model or an adapter. Says first what goes along."""
    from apps.models import deleting
    from apps.models.consequences import deletion_of
    from apps.models.errors import ModelInUse
    from apps.models.sizes import readable

    chosen = named(name)
    deletion = deletion_of(chosen.model, chosen.adapter)
    freed = readable(deletion.freed_bytes) if deletion.freed_bytes else "nothing"
    typer.echo(f"Deleting {chosen.name} frees {freed} on disk.")
    for each in deletion.consequences:
        typer.echo(f"- {each.text}")
    if not deletion.is_possible:
        raise CommandError(f"{chosen.name} can't be deleted yet: see above.")
    if not yes and not typer.confirm("Delete it?"):
        raise typer.Exit(1)
    try:
        if chosen.adapter is None:
            deleting.delete_model(model=chosen.model)
        else:
            deleting.delete_adapter(adapter=chosen.adapter)
    except ModelInUse as error:
        raise CommandError(str(error)) from error
    typer.echo(f"{chosen.name} is deleted.")


def disk(as_json: AsJson = False) -> None:
    """Tell what takes space, and what is safe to remove."""
    from apps.inference.registry.schemas import DiskOut
    from apps.models.disk.usage import disk_usage
    from apps.models.sizes import readable

    usage = disk_usage()
    if as_json:
        typer.echo(DiskOut.of(usage).model_dump_json(indent=2))
        return
    table = Table("What", "Size", box=None)
    table.columns[1].justify = "right"
    for part in usage.parts:
        table.add_row(part.label, readable(part.nbytes))
        for item in part.items[:10]:
            table.add_row(f"  {escape(item.name)}", readable(item.nbytes))
    console = Console()
    console.print(table)
    console.print(f"{readable(usage.own_bytes)} in all, {readable(usage.free_bytes)} free.")
    for each in usage.leftovers:
        console.print(f"Safe to remove: {escape(each.name)}, {readable(each.nbytes)}. {each.what}")


def named(name: str) -> NamedModel:
    """The model, with its adapter where one is named. Raises CommandError."""
    from apps.inference.services import ModelNotFound, find_model

    try:
        return find_model(name)
    except ModelNotFound as error:
        raise CommandError(str(error)) from error


def _models_table(models: list[LocalModel], *, wide: bool) -> Table:
    """Names are never broken, to be copied; a narrow terminal gets fewer columns."""
    from apps.models.sizes import readable
    from apps.system.templatetags.shell import scaled

    table = Table(box=None, pad_edge=False)
    table.add_column("Name", no_wrap=True)
    if wide:
        table.add_column("Kind")
    table.add_column("Parameters", justify="right")
    table.add_column("Quantisation")
    table.add_column("Size", justify="right", no_wrap=True)
    if wide:
        table.add_column("Context", justify="right")
    for model in models:
        table.add_row(
            escape(model.slug),
            *([model.get_kind_display()] if wide else []),
            scaled(model.parameters),
            escape(model.quantization),
            readable(model.size_bytes),
            *([f"{model.context_length:,}"] if wide else []),
        )
    return table
