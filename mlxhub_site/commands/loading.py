"""`mlx-hub import | load | unload`: models into the registry, and into memory."""

from __future__ import annotations

from typing import Annotated

import typer

from mlxhub_site.commands.answering import default_model
from mlxhub_site.commands.hub.client import SILENCE_SECONDS, HubClient, segment
from mlxhub_site.commands.hub.options import for_any_hub, here_only, hub
from mlxhub_site.commands.outcome import Refused

OptionalName = Annotated[
    str | None, typer.Argument(metavar="[MODEL]", help="A model, as `mlx-hub list` has it.")
]


@here_only("it takes files of the machine that it runs on.")
def import_model(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATH|FOUND]", help="A GGUF file, a model folder, or what --found lists."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What the model is to be called here; default: as there.")
    ] = None,
    found: Annotated[
        bool, typer.Option("--found", help="List the models that other programs keep here.")
    ] = False,
) -> None:
    """Register a model: a GGUF file is converted, a folder in mlx-lm's format stays where it is."""
    from django.core.management import call_command

    call_command("import_model", *filter(None, [what]), name=name, found=found)


@for_any_hub
def load(name: OptionalName = None) -> None:
    """Load a model's weights into memory, so that its first chat need not wait."""
    with hub() as client:
        model = name or default_model(client)
        ready = client.post(f"/api/models/{segment(model)}/load", patience=SILENCE_SECONDS)
    typer.echo(f"{ready['model']['name']} is loaded ({ready['seconds']:.1f} s).")


@for_any_hub
def unload(name: OptionalName = None) -> None:
    """Free the memory of a loaded model; without a name, of all that nobody uses just now."""
    with hub() as client:
        if name is not None:
            client.post(f"/api/models/{segment(name)}/unload")
            typer.echo(f"{name} is unloaded.")
            return
        loaded = [each["name"] for each in client.get("/api/loaded")["models"]]
        kept = [model for model in loaded if not _gave_way(client, model)]
    if not loaded:
        typer.echo("No model is loaded.")
    if kept:
        raise Refused(f"Still loaded: {', '.join(kept)}. Try again when they have answered.")


def _gave_way(client: HubClient, model: str) -> bool:
    """Whether it is out of memory; says so, or why it is not."""
    try:
        client.post(f"/api/models/{segment(model)}/unload")
    except Refused as error:
        typer.echo(f"{model}: {error}", err=True)
        return False
    typer.echo(f"{model} is unloaded.")
    return True
