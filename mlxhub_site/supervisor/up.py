"""What `mlx-hub up` does, from the first check to the last process's end."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Callable

from django.core.management import call_command
from django.db import connections

from apps.models import landing
from apps.models.models import LocalModel
from apps.models.starter import STARTER_SLUG, starter_declined
from apps.system.static_files import collect_static
from mlxhub_site.settings import HubSettings
from mlxhub_site.supervisor.instance import ProcessRecord, StartRefused, check_port, only_hub
from mlxhub_site.supervisor.programs import hub_programs, page_url
from mlxhub_site.supervisor.supervisor import Supervisor

Say = Callable[[str], None]


def up(hub: HubSettings, say: Say) -> None:
    """Run the hub until it is told to stop. Raises StartRefused where it can't start."""
    say = _to_whoever_listens(say)
    run_dir = hub.engine_socket.parent
    with only_hub(run_dir, address=page_url(hub)):
        record = ProcessRecord(run_dir)
        record.end_orphans(say)
        check_port(hub.host, hub.port)
        if hub.is_open:
            say(f"The hub has no login: whoever reaches {hub.host} can use it and read its chats.")
        try:
            _prepare(hub, say)
        except OSError as error:
            raise StartRefused(
                f"The data folder {hub.data_dir} can't be made ready: {error}. Check that you can "
                "write there and that its disk has room, then start again."
            ) from error
        supervisor = Supervisor(
            hub_programs(hub),
            logs_dir=hub.logs_dir,
            report=lambda name, state, detail: say(f"{name:<8} {state:<9} {detail}".rstrip()),
            started=record.add,
            all_ready=lambda: say(f"Open {page_url(hub)}    (Ctrl-C stops the hub)"),
        )
        asyncio.run(supervisor.run())
        record.clear()


def _to_whoever_listens(say: Say) -> Say:
    """``say``, deaf to a terminal that was closed: the hub has to stop properly all the same."""

    def said(line: str) -> None:
        with contextlib.suppress(OSError):
            say(line)

    return said


def _prepare(hub: HubSettings, say: Say) -> None:
    call_command("migrate", interactive=False, verbosity=0)
    if not hub.debug:
        collect_static()
    landing.settle_all()
    if hub.starter and _starter_is_due():
        _register_starter(say)
    # The supervisor itself has no more use for the database.
    connections.close_all()


def _starter_is_due() -> bool:
    """Whether the starter model was neither registered before nor deleted by the user."""
    registered = LocalModel.objects.filter(slug=STARTER_SLUG).exists()
    return not registered and not starter_declined()


def _register_starter(say: Say) -> None:
    """Give a hub without a model its first one. In a process of its own: it needs MLX."""
    say("Registering the starter model")
    command = [sys.executable, "-m", "django", "register_starter"]
    result = subprocess.run(command, check=False)  # noqa: S603 - our own command
    if result.returncode:
        say(f"The starter model was not registered (exit code {result.returncode}); see above.")
        say("The hub starts without it. `mlx-hub import FILE --name NAME` adds a model.")
