"""`mlx-hub import | load | unload`: models into the registry, and into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from mlxhub_site.commands.hub.options import here_only
from mlxhub_site.commands.outcome import CommandFailed, Unreachable
from mlxhub_site.commands.registry import Name, named

if TYPE_CHECKING:
    from apps.inference.engine.protocol import Request

E = TypeVar("E")


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


@here_only("a call to the API loads a model by itself.")
def load(name: Name) -> None:
    """Load a model's weights into memory."""
    from apps.inference.engine.protocol import LoadModel, ModelReady

    ready = _called(LoadModel(model=named(name).spec), ModelReady)
    typer.echo(f"{name} is loaded ({ready.seconds:.1f} s).")


@here_only("a model that idles is unloaded by itself.")
def unload(name: Name) -> None:
    """Free the memory of a loaded model."""
    from apps.inference.engine.protocol import Ok, UnloadModel

    _called(UnloadModel(digest=named(name).spec.digest), Ok)
    typer.echo(f"{name} is unloaded.")


def _called(request: Request, kind: type[E]) -> E:
    """The engine's answer. Raises CommandFailed."""
    from apps.inference.client import EngineError, EngineUnavailable
    from apps.inference.services import engine

    try:
        return engine().call(request, kind)
    except EngineUnavailable as error:
        raise Unreachable(str(error)) from error
    except EngineError as error:
        raise CommandFailed(str(error)) from error
