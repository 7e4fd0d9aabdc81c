"""`mlx-hub …`: the hub's command line. Each command calls one service or the engine.

Django is set up inside the commands that need it: the options of `up` have to be
in the environment before the settings are read.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from functools import wraps
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec

import django
import typer
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from pydantic import ValidationError
from typer.core import TyperGroup

from apps.inference.client import EngineClient, EngineError
from apps.inference.engine import protocol
from mlxhub_site import data, discover, keys, model_work, registry, training

if TYPE_CHECKING:
    from apps.inference.services import NamedModel


P = ParamSpec("P")


class CommandFailed(Exception):
    """The command ends with exit status 1; the message says why and what to do."""


class HubCommands(TyperGroup):
    """Maps every expected error to one line on standard error and exit status 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (CommandFailed, CommandError, EngineError) as error:
            message = str(error)
        except ValidationError as error:
            message = _describe_settings_error(error)
        except DatabaseError as error:
            message = _describe_database_error(error)
        typer.echo(f"Error: {message}", err=True)
        raise typer.Exit(1)


app = typer.Typer(
    cls=HubCommands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Find, run, serve and improve MLX language models on your own machine.",
)

ModelName = Annotated[str, typer.Argument(help="A model's name, as `mlx-hub list` has it.")]


@app.command()
def up(
    host: Annotated[str | None, typer.Option(help="Address to bind to.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port to bind to.")] = None,
) -> None:
    """Start the hub: pages, API, engine and worker. Ctrl-C stops it."""
    if host is not None:
        os.environ["MLXHUB_HOST"] = host
    if port is not None:
        os.environ["MLXHUB_PORT"] = str(port)
    _set_up_django()
    from mlxhub_site.settings import HUB
    from mlxhub_site.supervisor.instance import StartRefused
    from mlxhub_site.supervisor.up import up as run_hub

    try:
        run_hub(HUB, typer.echo)
    except StartRefused as error:
        raise CommandFailed(str(error)) from error
    except KeyboardInterrupt:
        # Before the supervisor took the signals over there is nothing to stop.
        raise typer.Exit(130) from None


@app.command()
def status() -> None:
    """What the engine is doing, which models are loaded, and how the cache fares."""
    client = _engine()
    from mlxhub_site import report

    for line in report.status_lines(client.status()):
        typer.echo(line)
    stats = client.call(protocol.GetCacheStats(), protocol.CacheStats)
    typer.echo(report.cache_line(stats))


@app.command()
def pull(
    repo: Annotated[str, typer.Argument(help="A repository on Hugging Face, as OWNER/NAME.")],
    name: Annotated[
        str | None, typer.Option(help="What to call the model here; default: as there.")
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit; default: the newest.")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Leave it to the worker and return at once.")
    ] = False,
) -> None:
    """Download a model from Hugging Face and register it. Goes on where it was interrupted."""
    _set_up_django()
    call_command("pull", repo, slug=name, revision=revision, detach=detach)


@app.command("import")
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
    _set_up_django()
    call_command("import_model", *filter(None, [what]), name=name, found=found)


@app.command()
def load(name: ModelName) -> None:
    """Load a model's weights into memory."""
    client = _engine()
    ready = client.call(protocol.LoadModel(model=_named(name).spec), protocol.ModelReady)
    typer.echo(f"{name} is loaded ({ready.seconds:.1f} s).")


@app.command()
def unload(name: ModelName) -> None:
    """Free the memory of a loaded model."""
    client = _engine()
    client.call(protocol.UnloadModel(digest=_named(name).spec.digest), protocol.Ok)
    typer.echo(f"{name} is unloaded.")


@app.command()
def chat(
    name: Annotated[
        str | None, typer.Argument(metavar="[MODEL[:ADAPTER]]", help="Default: the first model.")
    ] = None,
    system: Annotated[str, typer.Option(help="A system prompt.")] = "",
) -> None:
    """Talk to a model in the terminal."""
    client = _engine()
    from mlxhub_site.chat import converse

    converse(client, _named(name), system_prompt=system)


@app.command()
def warm() -> None:
    """Compute the KV of every enabled warm prompt, so that its first chat starts fast."""
    _set_up_django()
    call_command("warm_cache")


@app.command()
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
        Path | None, typer.Option("--json", help="Also write the run to this file.")
    ] = None,
    save: Annotated[bool, typer.Option(help="Keep the run in the hub's history.")] = True,
) -> None:
    """Measure times to first token and tokens per second, here or on another server."""
    _set_up_django()
    from mlxhub_site import bench as benchmark

    try:
        benchmark.bench(
            name or (None if base_url else _named(None).name),
            base_url=base_url,
            api_key_env=api_key_env,
            plan=benchmark.plan_of(quick=quick, rounds=rounds, clients=clients),
            json_file=json_file,
            save=save,
        )
    except benchmark.BenchFailed as error:
        raise CommandFailed(str(error)) from error


@app.command()
def version() -> None:
    """Print the hub's version."""
    typer.echo(f"MLX Model Hub {installed_version('mlx-model-hub')}")


def main() -> None:
    """Entry point of the console script."""
    app()


def _with_django(command: Callable[P, None]) -> Callable[P, None]:
    """The command, with Django set up before it runs."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        _set_up_django()
        command(*args, **kwargs)

    return run


def _set_up_django() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlxhub_site.settings")
    try:
        django.setup()
    except OSError as error:
        raise CommandFailed(
            f"The data folder can't be used: {error}. Make it a folder that you can write to, "
            "with room on its disk, or set MLXHUB_HOME to another one."
        ) from error
    except sqlite3.Error as error:  # huey opens its queue on import
        raise CommandFailed(
            f"queue.sqlite3 in the data folder can't be opened: {error}. Check that you can write "
            "there. A damaged queue may be deleted; it holds only tasks that wait."
        ) from error


def _engine() -> EngineClient:
    _set_up_django()
    from apps.inference.services import engine

    return engine()


def _named(name: str | None) -> NamedModel:
    """The named model, with its adapter where one is named; without a name the first model."""
    from apps.inference import services

    try:
        return services.default_model() if name is None else services.resolve_model(name)
    except services.ModelNotFound as error:
        raise CommandFailed(str(error)) from error


def _describe_database_error(error: DatabaseError) -> str:
    if "no such table" in str(error):
        return "The database is not set up yet. Run `mlx-hub up` once to set it up."
    return (
        f"The database answered: {error}. Check that it can be read and written and that its disk "
        "has room. A damaged hub.sqlite3 is best replaced from a backup; moved away, a new one "
        "takes its place."
    )


def _describe_settings_error(error: ValidationError) -> str:
    problems = (
        f"MLXHUB_{'_'.join(str(part) for part in problem['loc']).removeprefix('MLXHUB_').upper()}: "
        f"{problem['msg']}"
        for problem in error.errors()
    )
    return "The configuration is not valid. " + "; ".join(problems)


# Their commands are in modules of their own.
app.add_typer(keys.commands, name="keys", callback=_set_up_django)
app.add_typer(data.commands, name="data", callback=_set_up_django)
app.command()(_with_django(discover.search))
app.command()(_with_django(discover.info))
app.command("list")(_with_django(registry.list_models))
app.command("models", hidden=True)(_with_django(registry.list_models))
app.command()(_with_django(registry.show))
app.command("rm")(_with_django(registry.remove))
app.command()(_with_django(registry.disk))
app.command()(_with_django(model_work.convert))
app.command()(_with_django(model_work.fuse))
app.command()(_with_django(model_work.export))
app.command()(_with_django(model_work.verify))
app.command()(_with_django(training.train))
app.command()(_with_django(training.jobs))
app.command()(_with_django(training.logs))
app.command()(_with_django(training.stop))
app.command()(_with_django(training.resume))
