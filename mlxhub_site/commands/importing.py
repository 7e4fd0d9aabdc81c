"""`mlx-hub import`: a model that lies on this machine joins the registry.

Django is set up by the time the command runs, and not before.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from apps.models.sizes import readable
from mlxhub_site.commands.hub.options import here_only
from mlxhub_site.commands.outcome import BadUsage, CommandFailed
from mlxhub_site.commands.output import AsJson, harmless, print_json, progress_bar

if TYPE_CHECKING:
    from apps.models.found.scan import Find
    from apps.models.work.plans import ImportPlan


@here_only("it takes files of the machine that it runs on.")
def import_model(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATH|FOUND]", help="A GGUF file, a model folder, or what --found lists."
        ),
    ] = None,
    name: Annotated[
        str, typer.Option(help="What the model is to be called here; default: as there.")
    ] = "",
    found: Annotated[
        bool, typer.Option("--found", help="List the models that other programs keep here.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Register a model: a GGUF file is converted, a folder in mlx-lm's format stays where it is."""
    if found:
        _list_found(as_json=as_json)
        return
    if not what:
        raise BadUsage("Give a path, or a name that `mlx-hub import --found` lists.")
    from apps.inference.registry.schemas import ModelDetail
    from apps.models.errors import RegistryError
    from apps.models.importing.orders import run
    from apps.models.runtime.errors import RuntimeFault

    try:
        order = _order(what, name)
        with progress_bar() as tell:
            model = run(order, tell)
    except (RuntimeFault, RegistryError) as error:
        raise CommandFailed(str(error)) from error
    if as_json:
        print_json(ModelDetail.of(model).model_dump(mode="json"))
        return
    stays = f"; its files stay in {order.path}" if order.path.is_dir() else ""
    typer.echo(f"{model.name} is ready ({model.slug}){stays}.")


def _order(what: str, name: str) -> ImportPlan:
    """What to import: a path where there is one, else what goes by that name."""
    from apps.models.found.scan import named
    from apps.models.importing.orders import order_for

    path = Path(what)  # the shell has put the home folder in already
    finds = [] if path.exists() else named(what)
    if len(finds) > 1:
        names = ", ".join(find.name for find in finds)
        raise BadUsage(f"Several are called {what!r}: {names}. Give the whole name.")
    if not finds:
        return order_for(path, name)
    return order_for(finds[0].path, name or finds[0].label)


def _list_found(*, as_json: bool) -> None:
    from apps.models.found.scan import found

    finds = found()
    if as_json:
        print_json([asdict(find) | {"path": str(find.path)} for find in finds])
        return
    for find in finds:
        typer.echo(harmless(_line(find)))
    if not finds:
        typer.echo("No other program keeps a model here. `mlx-hub import PATH` takes any.")


def _line(find: Find) -> str:
    kind = "GGUF" if find.is_gguf else "MLX folder"
    facts = ", ".join(part for part in (kind, find.detail) if part)
    size = readable(find.size_bytes)
    problem = f"; can't be imported: {find.problem}" if find.problem else ""
    return f"{find.name:<50} {size:>9}  {find.place}, {facts}{problem}"
