"""`mlx-hub restart`: a new web process in place of the old one, while the hub goes on."""

from __future__ import annotations

import os
import time
from pathlib import Path

import typer

from mlxhub_site.commands.hub.options import here_only
from mlxhub_site.commands.outcome import CommandFailed, Refused, Unreachable

PATIENCE = 90.0


@here_only("it tells the hub's own process on that machine.")
def restart() -> None:
    """Put a new web process in place of the old one; nothing that runs is cut off.

    Pages and API take over changed code. For changed settings stop `mlx-hub up` and start it.
    """
    from mlxhub_site.settings import HUB
    from mlxhub_site.supervisor.instance import running_hub_pid
    from mlxhub_site.supervisor.supervisor import REPLACE_SIGNAL

    supervisor = running_hub_pid(HUB.engine_socket.parent)
    if supervisor is None:
        raise Unreachable("No hub runs on this data folder. `mlx-hub up` starts one.")
    before = _present(HUB.web_pid_file)
    if not before:
        raise Refused("The hub is still starting. Try again once its page answers.")
    os.kill(supervisor, REPLACE_SIGNAL)
    deadline = time.monotonic() + PATIENCE
    while _present(HUB.web_pid_file) in ("", before):
        if time.monotonic() > deadline:
            raise CommandFailed(
                "The new web process did not get ready, and the old one goes on. `mlx-hub logs "
                "web` says why."
            )
        time.sleep(0.1)
    typer.echo("A new web process has taken over. The old one finishes its answers and ends.")


def _present(pid_file: Path) -> str:
    """The web process that listens, as it wrote it; empty while none has."""
    try:
        return pid_file.read_text()
    except FileNotFoundError:
        return ""
