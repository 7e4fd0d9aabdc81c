"""`mlx-hub load | unload | ps`: models into memory, and out of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from apps.models.sizes import readable
from mlxhub_site.commands.answering import default_model
from mlxhub_site.commands.hub.client import SILENCE_SECONDS, HubClient, segment
from mlxhub_site.commands.hub.options import for_any_hub, hub
from mlxhub_site.commands.outcome import Refused
from mlxhub_site.commands.output import AsJson, console, print_json, text
from mlxhub_site.commands.registry import model_path

OptionalName = Annotated[
    str | None, typer.Argument(metavar="[MODEL]", help="A model, as `mlx-hub list` has it.")
]


@for_any_hub
def load(name: OptionalName = None, as_json: AsJson = False) -> None:
    """Load a model's weights into memory, so that its first chat need not wait."""
    with hub() as client:
        model = name or default_model(client)
        ready = client.post(f"{model_path(client, model)}/load", patience=SILENCE_SECONDS)
    if as_json:
        print_json(ready)
        return
    typer.echo(f"{ready['model']['name']} is loaded ({ready['seconds']:.1f} s).")


@for_any_hub
def unload(name: OptionalName = None) -> None:
    """Free the memory of a loaded model; without a name, of all that nobody uses just now."""
    with hub() as client:
        if name is not None:
            client.post(f"{model_path(client, name)}/unload")
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


@for_any_hub
def ps(as_json: AsJson = False) -> None:
    """List the models in memory: what each takes, and how long it stays."""
    with hub() as client:
        found = client.get("/api/loaded")
    if as_json:
        print_json(found)
        return
    if found["loading"]:
        typer.echo(f"{found['loading']} is being loaded.")
    if not found["models"]:
        typer.echo("No model is loaded. The first chat with one does it, or `mlx-hub load MODEL`.")
        return
    table = Table("Model", "Weights", "Live KV", "Adapters", "Stays", box=None, pad_edge=False)
    for each in found["models"]:
        sizes = (readable(each["weights_bytes"]), readable(each["live_kv_bytes"]))
        table.add_row(*map(text, (each["name"], *sizes, ", ".join(each["adapters"]), _stay(each))))
    console().print(table)


def _stay(model: dict[str, Any]) -> str:
    if model["unloads_at"] is None:
        return "until somebody unloads it"
    end = datetime.fromisoformat(model["unloads_at"]).astimezone()
    return f"until {end:%H:%M}, longer where it is used"
