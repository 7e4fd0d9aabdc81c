"""`mlx-hub service …`: the hub starts with the user's session, and again after a crash."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlxhub_site.commands.home import set_up_django
from mlxhub_site.commands.outcome import CommandFailed, ExitCode, NotFound, Refused

if TYPE_CHECKING:
    from mlxhub_site.upkeep.services import Service

_SECRETS = {
    "linux": "`systemctl --user edit mlx-hub` takes it, as Environment=NAME=VALUE.",
    "darwin": "`launchctl setenv NAME VALUE` gives it to the service.",
}
"""How a service gets a variable that no unit should hold."""

commands = typer.Typer(no_args_is_help=True, help="Have systemd or launchd run the hub.")


@commands.command()
def install(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be written, no more.")
    ] = False,
) -> None:
    """Write the unit with the hub's variables of this shell, and start it."""
    from mlxhub_site.upkeep.services import held_back, tell, write

    unit = _service()
    typer.echo(unit.content.decode(), nl=False)
    if secrets := held_back(os.environ):
        typer.echo(
            f"Left out, as it may hold a secret: {', '.join(secrets)}. {_SECRETS[sys.platform]}",
            err=True,
        )
    if dry_run:
        return
    if not unit.path.exists():
        _require_free_folder()
    with _explained():
        write(unit)
        typer.echo(f"Written to {unit.path}", err=True)
        tell(unit.install)
    typer.echo("The hub starts. `mlx-hub service status` shows it.", err=True)
    if sys.platform == "linux":
        typer.echo("`loginctl enable-linger` starts it before you sign in.", err=True)


@commands.command()
def uninstall() -> None:
    """Stop the service and remove its unit. The data folder stays."""
    from mlxhub_site.upkeep.services import tell

    unit = _installed()
    with _explained():
        tell(unit.uninstall)
        unit.path.unlink()
    typer.echo(f"Removed {unit.path}")


@commands.command()
def status() -> None:
    """Show what the service manager says of it."""
    unit = _installed()
    with _explained():
        ended = subprocess.run(unit.status, check=False)  # noqa: S603 - our own command
    raise typer.Exit(ExitCode.OK if ended.returncode == 0 else ExitCode.FAILED)


def _service() -> Service:
    from mlxhub_site.upkeep.services import public, service

    program = Path(sys.executable).with_name("mlx-hub")
    with _explained():
        return service(
            command=[str(program), "up"], environment=public(os.environ), home=Path.home()
        )


def _require_free_folder() -> None:
    """Raises Refused where a hub that somebody started by hand would be in the service's way."""
    set_up_django()
    from mlxhub_site.settings import HUB
    from mlxhub_site.supervisor.instance import running_hub_url

    if (address := running_hub_url(HUB.engine_socket.parent)) is not None:
        raise Refused(
            f"A hub runs on {HUB.data_dir} already ({address}), and the service could not start "
            "beside it. Stop that one first."
        )


def _installed() -> Service:
    unit = _service()
    if not unit.path.exists():
        raise NotFound(f"There is no {unit.path}. `mlx-hub service install` writes it.")
    return unit


@contextmanager
def _explained() -> Iterator[None]:
    from mlxhub_site.upkeep.errors import UpkeepError, UpkeepRefused

    try:
        yield
    except UpkeepRefused as error:
        raise Refused(str(error)) from error
    except UpkeepError as error:
        raise CommandFailed(str(error)) from error
    except OSError as error:
        raise CommandFailed(f"{error.filename}: {error.strerror}.") from error
