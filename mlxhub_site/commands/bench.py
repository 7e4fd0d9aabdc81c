"""`mlx-hub bench`: its options; ``benchmarking`` does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlxhub_site.commands.hub.options import here_only


@here_only("it measures from beside the hub. --base-url measures another server from here.")
def bench(
    name: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Default: this hub's first.")
    ] = None,
    base_url: Annotated[
        str, typer.Option(help="Measure another OpenAI-compatible server, as http://HOST:PORT/v1.")
    ] = "",
    api_key_env: Annotated[
        str, typer.Option(help="The environment variable that holds that server's API key.")
    ] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Short prompts, one round.")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, max=20, help="Rounds per figure.")] = None,
    clients: Annotated[str, typer.Option(help="Clients at once, for example 1,2,4.")] = "",
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write the run to it; a dash: print it."),
    ] = None,
    save: Annotated[bool, typer.Option(help="Keep the run in the hub's history.")] = True,
) -> None:
    """Measure times to first token and tokens per second, here or on another server."""
    from apps.inference.services import ModelNotFound, default_model
    from mlxhub_site.commands import benchmarking
    from mlxhub_site.commands.outcome import NotFound

    try:
        model = name or (None if base_url else default_model().name)
    except ModelNotFound as error:
        raise NotFound(str(error)) from error
    benchmarking.bench(
        model,
        base_url=base_url,
        api_key_env=api_key_env,
        plan=benchmarking.plan_of(quick=quick, rounds=rounds, clients=clients),
        json_file=json_file,
        save=save,
    )
