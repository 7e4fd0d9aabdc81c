"""`mlx-hub up | serve | engine | worker`: the hub's processes.

`up` supervises all of them. The others become one of them, in the foreground, for whoever
supervises by other means: systemd, launchd, containers, several machines.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from mlxhub_site.commands.home import set_up_django
from mlxhub_site.commands.outcome import ExitCode, Refused

if TYPE_CHECKING:
    from mlxhub_site.supervisor.process import Program

Host = Annotated[str | None, typer.Option(help="Address to bind to.")]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Port to bind to.")]

LAUNCHER = 3
"""Words of a program's command that launch it as the supervisor's child."""


def up(host: Host = None, port: Port = None) -> None:
    """Start the hub: pages, API, engine and worker. Ctrl-C stops it."""
    _bind(host, port)
    set_up_django()
    from mlxhub_site.settings import HUB
    from mlxhub_site.supervisor.instance import StartRefused
    from mlxhub_site.supervisor.up import up as run_hub

    try:
        run_hub(HUB, typer.echo)
    except StartRefused as error:
        raise Refused(str(error)) from error
    except KeyboardInterrupt:
        # Before the supervisor took the signals over there is nothing to stop.
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def serve(
    host: Host = None,
    port: Port = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="The API alone: no pages, no admin.")
    ] = False,
) -> None:
    """Serve pages and API, without engine and worker: they run as `engine` and `worker`."""
    _bind(host, port)
    set_up_django()
    from apps.system.static_files import collect_static
    from mlxhub_site.settings import HUB
    from mlxhub_site.supervisor.programs import web_program

    _require_schema()
    if not HUB.debug:
        collect_static()
    application = "mlxhub_site.headless:application" if headless else None
    _become(web_program(HUB), application=application)


def engine() -> None:
    """Run the engine alone, the one process that computes."""
    set_up_django()
    from mlxhub_site.settings import HUB
    from mlxhub_site.supervisor.programs import engine_program

    _refuse_beside_up()
    _become(engine_program(HUB))


def worker() -> None:
    """Run the worker alone: downloads, imports, datasets, trainings."""
    set_up_django()
    from mlxhub_site.supervisor.programs import worker_program

    _require_schema()
    _become(worker_program())


def _bind(host: str | None, port: int | None) -> None:
    if host is not None:
        os.environ["MLXHUB_HOST"] = host
    if port is not None:
        os.environ["MLXHUB_PORT"] = str(port)


def _become(program: Program, *, application: str | None = None) -> NoReturn:
    """Replace this process by the program, which so gets signals and exits by itself."""
    module, *arguments = program.command[LAUNCHER:]
    if application is not None:
        arguments[0] = application
    command = [sys.executable, "-m", module, *arguments]
    _share_the_folder()
    sys.stdout.flush()
    # Whoever watches reads lines; the supervisor's children write JSON for it.
    written = {"MLXHUB_LOG_FORMAT": os.environ.get("MLXHUB_LOG_FORMAT", "text")}
    os.execve(sys.executable, command, os.environ | program.environment | written)  # noqa: S606


def _share_the_folder() -> None:
    from mlxhub_site.settings import HUB
    from mlxhub_site.upkeep.errors import UpkeepRefused
    from mlxhub_site.upkeep.locks import hold_part

    try:
        hold_part(HUB.engine_socket.parent)
    except UpkeepRefused as error:
        raise Refused(str(error)) from error


def _refuse_beside_up() -> None:
    from mlxhub_site.settings import HUB
    from mlxhub_site.supervisor.instance import running_hub_url

    if (address := running_hub_url(HUB.engine_socket.parent)) is not None:
        raise Refused(
            f"A hub runs on {HUB.data_dir} ({address}) and has an engine. Stop it first, or set "
            "MLXHUB_HOME to another folder."
        )


def _require_schema() -> None:
    from mlxhub_site.upkeep.schema import pending

    if missing := pending():
        raise Refused(
            f"The database lacks {len(missing)} changes of this version. `mlx-hub upgrade` backs "
            "it up and makes them; `mlx-hub up` does so by itself."
        )
