"""`mlx-hub …`: the hub's command line, put together from ``commands``."""

from __future__ import annotations

import errno
from collections.abc import Callable
from importlib.metadata import version as installed_version
from typing import Annotated, Any

import typer
from django.core.management import CommandError
from django.db import DatabaseError
from typer.core import TyperGroup

from mlxhub_site.commands import (
    bench,
    cache,
    chat,
    completion,
    data,
    discover,
    doctor,
    downloads,
    evaluate,
    importing,
    jobs,
    keys,
    loading,
    logs,
    model_work,
    processes,
    publish,
    registry,
    restart,
    run,
    service,
    serving,
    soak,
    status,
    tracking,
    training,
    upkeep,
    users,
)
from mlxhub_site.commands.interrupts import one_command
from mlxhub_site.commands.outcome import OUTDATED, CommandFailed, ExitCode
from mlxhub_site.commands.output import harmless

NO_OUTPUT = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Where what a command prints goes into a file, and that takes no more."""


class HubCommands(TyperGroup):
    """Maps every expected error to one line on standard error and an exit status."""

    def invoke(self, ctx: Any) -> None:
        with one_command() as was_interrupted:
            code = self._status(ctx)
            if was_interrupted():
                code = ExitCode.INTERRUPTED
        if code:
            raise typer.Exit(code)

    def _status(self, ctx: Any) -> int:
        """How the command ended. What it failed with is told."""
        try:
            super().invoke(ctx)
        except typer.Exit as ended:
            return ended.exit_code
        except typer.Abort as error:
            # A question on the terminal: Ctrl-C is told by its status alone, as everywhere.
            if isinstance(error.__context__, KeyboardInterrupt):
                return ExitCode.INTERRUPTED
            code, message = ExitCode.FAILED, "No answer came, so nothing was done."
        except CommandFailed as error:
            code, message = error.exit_code, str(error)
        except CommandError as error:
            code, message = ExitCode(error.returncode), str(error)
        except DatabaseError as error:
            code, message = ExitCode.FAILED, _describe_database_error(error)
        except UnicodeEncodeError as error:
            code, message = ExitCode.USAGE, _describe_encoding_error(error)
        except OSError as error:
            if error.errno not in NO_OUTPUT:
                raise
            code, message = ExitCode.FAILED, _describe_output_error(error)
        else:
            return ExitCode.OK
        typer.echo(f"Error: {harmless(message)}", err=True)
        return code


app = typer.Typer(
    cls=HubCommands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Find, run, serve and improve MLX language models on your own machine.",
    epilog="Exit status: 0 done, 1 failed, 2 wrong use, 3 not found, 4 nobody answers, 5 refused, "
    "130 ended by Ctrl-C.",
)


def version() -> None:
    """Print the hub's version."""
    typer.echo(f"MLX Model Hub {installed_version('mlx-model-hub')}")


def _print_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=_print_version,
            help="Print the hub's version and exit.",
        ),
    ] = False,
) -> None:
    """What can be said before a command."""


def main() -> None:
    """Entry point of the console script."""
    app()


def _describe_database_error(error: DatabaseError) -> str:
    if "no such table" in str(error):
        return "The database is not set up yet. Run `mlx-hub up` once to set it up."
    if "no such column" in str(error):
        return OUTDATED
    return (
        f"The database answered: {error}. Check that it can be read and written and that its disk "
        "has room. A damaged hub.sqlite3 is best replaced from a backup with `mlx-hub restore`."
    )


def _describe_output_error(error: OSError) -> str:
    where = error.filename or "Its output"
    return f"{where} can't be written: {error.strerror}. Make room there, or send it elsewhere."


def _describe_encoding_error(error: UnicodeEncodeError) -> str:
    if error.encoding == "utf-8":
        return "What was typed is no text in UTF-8. Check the encoding of the terminal or the file."
    return (
        f"{error.object[error.start]!a} can't be written in {error.encoding}, the encoding of this "
        "terminal. Choose a UTF-8 locale, or set PYTHONUTF8=1."
    )


_PANELS: dict[str, dict[str, Callable[..., None]]] = {
    "Run the hub": {
        "up": processes.up,
        "serve": processes.serve,
        "engine": processes.engine,
        "worker": processes.worker,
        "restart": restart.restart,
        "status": status.status,
        "logs": logs.logs,
        "doctor": doctor.doctor,
        "version": version,
    },
    "Models": {
        "search": discover.search,
        "info": discover.info,
        "pull": downloads.pull,
        "import": importing.import_model,
        "list": registry.list_models,
        "show": registry.show,
        "set": serving.set_model,
        "rm": registry.remove,
        "convert": model_work.convert,
        "fuse": model_work.fuse,
        "export": model_work.export,
        "verify": model_work.verify,
        "disk": registry.disk,
    },
    "Chat": {
        "chat": chat.chat,
        "run": run.run,
        "load": loading.load,
        "unload": loading.unload,
        "ps": loading.ps,
        "warm": cache.warm,
        "bench": bench.bench,
    },
    "Training": {
        "train": training.train,
        "pause": jobs.pause,
        "stop": jobs.stop,
        "keep": training.keep,
        "resume": training.resume,
        "evaluate": evaluate.evaluate,
        "publish": publish.publish,
        "mlflow": tracking.mlflow,
    },
    "Upkeep": {
        "backup": upkeep.backup,
        "restore": upkeep.restore,
        "upgrade": upkeep.upgrade,
        "soak": soak.soak,
        "completion": completion.completion,
    },
}

for _panel, _commands in _PANELS.items():
    for _name, _command in _commands.items():
        app.command(_name, rich_help_panel=_panel)(_command)
for _alias in ("models", "ls"):
    app.command(_alias, hidden=True)(registry.list_models)
app.add_typer(cache.commands, name="cache", rich_help_panel="Chat")
app.add_typer(data.commands, name="data", rich_help_panel="Training")
app.add_typer(jobs.commands, name="jobs", rich_help_panel="Training")
app.add_typer(keys.commands, name="keys", rich_help_panel="Upkeep")
app.add_typer(service.commands, name="service", rich_help_panel="Upkeep")
app.add_typer(users.commands, name="users", rich_help_panel="Upkeep")
