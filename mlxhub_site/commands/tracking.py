"""`mlx-hub mlflow`: MLflow's pages on the runs of this hub."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from mlxhub_site.commands.home import set_up_django
from mlxhub_site.commands.outcome import CommandFailed, Refused


def mlflow(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
) -> None:
    """Open MLflow's pages on the hub's runs, where mlflow is installed."""
    set_up_django()
    from apps.training.tracking.store import configured_store

    store = configured_store()
    if store is None:
        raise Refused("Tracking is switched off. Unset MLXHUB_TRACK_RUNS.")
    if store.uri.startswith(("http://", "https://")):
        typer.echo(f"The runs are at {store.shown}.")
        return
    if (program := _mlflow_server()) is None:
        raise CommandFailed(
            "The pages of MLflow are not installed; the hub needs only its small client. Install "
            f"them apart from the hub and open the store: `uvx mlflow server --backend-store-uri "
            f"{store.shown} --port {port}`."
        )
    command = [*program, "server", "--backend-store-uri", store.uri]
    if store.artifacts:
        command += ["--default-artifact-root", store.artifacts]
    typer.echo(f"MLflow's pages come up at http://127.0.0.1:{port}. Ctrl-C ends them.")
    sys.stdout.flush()
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    os.execvpe(command[0], [*command, "--port", str(port)], environment)  # noqa: S606 - mlflow's own


def _mlflow_server() -> list[str] | None:
    """What starts it: this Python's, where all of mlflow is installed, or another one's."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        version("mlflow")
    except PackageNotFoundError:
        # The small client has a command of this name too, which can't serve.
        ours = Path(sys.executable).parent
        found = shutil.which("mlflow", path=os.pathsep.join(_other_folders(ours)))
        return [found] if found else None
    return [sys.executable, "-m", "mlflow"]


def _other_folders(ours: Path) -> list[str]:
    folders = os.environ.get("PATH", "").split(os.pathsep)
    return [folder for folder in folders if folder and Path(folder).resolve() != ours.resolve()]
