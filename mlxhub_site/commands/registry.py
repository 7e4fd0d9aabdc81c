"""`mlx-hub list | show | rm | disk`: the registry in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from apps.models.sizes import readable
from mlxhub_site.commands.hub.client import HubClient, segment
from mlxhub_site.commands.hub.options import for_any_hub, hub
from mlxhub_site.commands.outcome import CommandFailed, NotFound, Refused
from mlxhub_site.commands.output import (
    WIDE,
    AsJson,
    console,
    facts_table,
    harmless,
    print_json,
    scaled,
    text,
)
from mlxhub_site.commands.several import for_each

if TYPE_CHECKING:
    from apps.inference.services import NamedModel

PAGE = 500
"""Rows that the API gives at once."""

Name = Annotated[str, typer.Argument(metavar="MODEL", help="A model, as `mlx-hub list` has it.")]


@for_any_hub
def list_models(
    words: Annotated[str, typer.Argument(metavar="[WORDS]", help="Part of a name.")] = "",
    kind: Annotated[str, typer.Option(help="chat, completion or embedding.")] = "",
    sort: Annotated[
        str, typer.Option(help="name, size_bytes, parameters, …; a dash before it turns it round.")
    ] = "name",
    limit: Annotated[int, typer.Option(min=1, max=PAGE)] = 100,
    as_json: AsJson = False,
) -> None:
    """List the models on this hub."""
    with hub() as client:
        found = client.get("/api/models", q=words, kind=kind or None, sort=sort, limit=limit)
    models = found["models"]
    if as_json:
        print_json(found)
    elif not models and words:
        typer.echo(f"No model is called like {words!r}. `mlx-hub list` shows all.")
    elif not models:
        typer.echo("No model. `mlx-hub pull REPO` or `mlx-hub import PATH` adds one.")
    else:
        out = console()
        out.print(_models_table(models, wide=out.width >= WIDE))
        if found["total"] > len(models):
            out.print(f"{len(models)} of {found['total']}; --limit shows more.")


@for_any_hub
def show(name: Name, as_json: AsJson = False) -> None:
    """Tell what a model is, where it comes from, and how it is served."""
    with hub() as client:
        detail = client.get(model_path(client, name))
    if as_json:
        print_json(detail)
        return
    table = facts_table()
    for label, value in detail.items():
        if label not in ("defaults", "adapters", "recommended") and value not in ("", None):
            table.add_row(label.replace("_", " "), text(_written(label, value)))
    for label in ("defaults", "recommended"):
        if said := {key: value for key, value in detail[label].items() if value}:
            table.add_row(label, text(", ".join(f"{key} {value}" for key, value in said.items())))
    for adapter in detail["adapters"]:
        table.add_row("adapter", text(f"{detail['slug']}:{adapter['slug']}"))
    console().print(table)


@for_any_hub
def remove(
    names: Annotated[list[str], typer.Argument(metavar="MODEL[:ADAPTER]...")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Delete models or adapters, one after another. Says first what goes along."""
    with hub() as client:
        for_each(names, lambda name: _remove(client, name, sure=yes))


@for_any_hub
def disk(as_json: AsJson = False) -> None:
    """Tell what takes space, and what is safe to remove."""
    with hub() as client:
        usage = client.get("/api/disk")
    if as_json:
        print_json(usage)
        return
    table = Table("What", "Size", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for part in usage["parts"]:
        table.add_row(text(part["label"]), readable(part["size_bytes"]))
        if part["key"] == "models":
            for model in usage["models"][:10]:
                if not model["path"]:
                    table.add_row(f"  {text(model['name'])}", readable(model["size_bytes"]))
    out = console()
    out.print(table)
    out.print(f"{readable(usage['used_bytes'])} in all, {readable(usage['free_bytes'])} free.")
    for each in usage["leftovers"]:
        size = readable(each["size_bytes"])
        out.print(f"Safe to remove: {text(each['name'])}, {size}. {text(each['what'])}")


def _remove(client: HubClient, name: str, *, sure: bool) -> None:
    """Raises CommandFailed where it stays."""
    path = _path_of(client, name)
    deletion = client.get(f"{path}/deletion")
    freed = readable(deletion["freed_bytes"]) if deletion["freed_bytes"] else "nothing"
    typer.echo(f"Deleting {name} frees {freed} on disk.")
    for each in deletion["consequences"]:
        typer.echo(harmless(f"- {each['text']}"))
    if not deletion["possible"]:
        raise Refused(f"{name} can't be deleted yet: see above.")
    if not sure and not typer.confirm("Delete it?"):
        raise CommandFailed(f"{name} is not deleted.")
    client.delete(path)
    typer.echo(f"{name} is deleted.")


def model_path(client: HubClient, name: str) -> str:
    """Where the API has a model, by its name, its alias or its repository. Raises NotFound."""
    if "/" not in name:
        return f"/api/models/{segment(name)}"
    for model in client.get("/api/models", q=name, limit=PAGE)["models"]:
        if model["repo_id"] == name:
            return f"/api/models/{segment(model['slug'])}"
    raise NotFound(
        f"No model of this hub is from {name}. `mlx-hub list` shows those there are, `mlx-hub pull "
        f"{name}` downloads it."
    )


def named(name: str) -> NamedModel:
    """The model in this machine's registry, with its adapter where one is named.

    For commands that work here only. Raises NotFound.
    """
    from apps.inference.services import ModelNotFound, find_model

    try:
        return find_model(name)
    except ModelNotFound as error:
        raise NotFound(str(error)) from error


def _path_of(client: HubClient, name: str) -> str:
    base, colon, adapter = name.partition(":")
    path = model_path(client, base)
    client.get(path)  # its refusal names what there is
    return f"{path}/adapters/{segment(adapter)}" if colon else path


def _written(field: str, value: object) -> str:
    """A field of a model as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if field.endswith("_at"):
        return f"{str(value)[:16].replace('T', ' ')} UTC"
    if isinstance(value, int):
        return readable(value) if field == "size_bytes" else f"{value:,}"
    return str(value)


def _models_table(models: list[dict[str, Any]], *, wide: bool) -> Table:
    """Names are never broken, to be copied; a narrow terminal gets fewer columns."""
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
            text(model["slug"]),
            *([model["kind"]] if wide else []),
            scaled(model["parameters"]),
            text(model["quantization"]),
            readable(model["size_bytes"]),
            *([f"{model['context_length']:,}"] if wide else []),
        )
    return table
