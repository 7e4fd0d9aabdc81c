"""`mlx-hub publish`: what was made here becomes a repository on Hugging Face."""

from __future__ import annotations

from typing import Annotated

import typer

from mlxhub_site.commands.following import followed, require_no_failure
from mlxhub_site.commands.hub.options import for_any_hub, hub
from mlxhub_site.commands.job_kinds import ACTIVE
from mlxhub_site.commands.output import AsJson, print_json


@for_any_hub
def publish(
    name: Annotated[str, typer.Argument(metavar="MODEL[:ADAPTER]", help="What was made here.")],
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="A new one.")],
    public: Annotated[bool, typer.Option("--public", help="Everybody may see it.")] = False,
    existing: Annotated[
        bool, typer.Option("--existing", help="Add to it if it is there already.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Leave it to the worker.")] = False,
    as_json: AsJson = False,
) -> None:
    """Publish an adapter or a model on Hugging Face, with the access token in HF_TOKEN."""
    order = {"model": name, "repo_id": repository, "private": not public, "existing": existing}
    with hub() as client:
        made = client.post("/api/publications", order)
        if not detach:
            made = followed(client, "publications", made)
    if as_json:
        print_json(made)
    elif made["state"] in ACTIVE:
        typer.echo(f"publication-{made['id']} is queued. `mlx-hub jobs --all` shows it.")
    elif made["state"] == "done":
        typer.echo(made["commit_url"])
    require_no_failure(made)
