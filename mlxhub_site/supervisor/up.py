"""What `mlx-hub up` does, from the first check to the last process's end."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable

from django.db import connections

from apps.accounts.setup import code_file, new_code, owner_is_missing, withdraw_code
from apps.models import landing
from apps.models.starter import note_failure, starter_is_due
from apps.system.static_files import collect_static
from mlxhub_site.hub_settings import HubSettings
from mlxhub_site.supervisor.addresses import network_urls, page_url
from mlxhub_site.supervisor.instance import ProcessRecord, StartRefused, bound_socket, only_hub
from mlxhub_site.supervisor.logs import ProcessLog
from mlxhub_site.supervisor.process import Report
from mlxhub_site.supervisor.programs import WEB, hub_programs
from mlxhub_site.supervisor.supervisor import REPLACE_SIGNAL, Supervisor
from mlxhub_site.upkeep.errors import UpkeepError
from mlxhub_site.upkeep.schema import migrate

Say = Callable[[str], None]


def up(hub: HubSettings, say: Say) -> None:
    """Run the hub until it is told to stop. Raises StartRefused where it can't start."""
    say = _to_whoever_listens(say)
    # Until there is a process to replace: unheard, the signal would end the hub.
    signal.signal(REPLACE_SIGNAL, signal.SIG_IGN)
    run_dir = hub.engine_socket.parent
    with only_hub(run_dir, address=page_url(hub)):
        record = ProcessRecord(run_dir)
        record.end_orphans(say)
        with bound_socket(hub.host, hub.port) as listener:
            _prepare_or_refuse(hub, say)
            supervisor = Supervisor(
                hub_programs(hub, listener),
                logs_dir=hub.logs_dir,
                report=_reporting(
                    say, ProcessLog(hub.logs_dir / "hub.log"), open_hub=lambda: _open(hub, say)
                ),
                started=record.add,
                all_ready=lambda: say("Everything is ready."),
            )
            asyncio.run(supervisor.run())
        record.clear()


def _reporting(say: Say, log: ProcessLog, *, open_hub: Callable[[], None]) -> Report:
    """To the terminal, and to a log of the supervisor's own.

    ``open_hub`` is called once, when the first page answers: the rest gets ready behind it.
    """
    is_open = False

    def report(name: str, state: str, detail: str) -> None:
        nonlocal is_open
        line = f"{name:<8} {state:<9} {detail}".rstrip()
        say(line)
        log.feed(f"{line}\n".encode())
        if (name, state) == (WEB, "ready") and not is_open:
            is_open = True
            open_hub()

    return report


def _to_whoever_listens(say: Say) -> Say:
    """``say``, deaf to a terminal that was closed: the hub has to stop properly all the same."""

    def said(line: str) -> None:
        with contextlib.suppress(OSError):
            say(line)

    return said


def _open(hub: HubSettings, say: Say) -> None:
    if hub.is_open and not (hub.serves_https or hub.trusted_proxies):
        say("Passwords and chats travel unencrypted. MLXHUB_TLS_CERT and MLXHUB_TLS_KEY, or a")
        say("proxy as in docs/exposing.md, encrypt them.")
    if code_file().exists():
        say(f"Make the owner's account at {page_url(hub)}/setup/ with the code")
        say(f"    {code_file().read_text().strip()}")
    say(f"Open {page_url(hub)}    (Ctrl-C stops the hub)")
    if others := network_urls(hub):
        say(f"From other machines: {'  '.join(others)}")


def _ready_for_its_owner() -> None:
    """A code for the first owner where one is missing, and none where not."""
    if owner_is_missing():
        new_code()
    else:
        withdraw_code()


def _prepare_or_refuse(hub: HubSettings, say: Say) -> None:
    """Raises StartRefused."""
    try:
        _prepare(hub, say)
    except UpkeepError as error:
        raise StartRefused(str(error)) from error
    except OSError as error:
        raise StartRefused(
            f"The data folder {hub.data_dir} can't be made ready: {error}. Check that you can "
            "write there and that its disk has room, then start again."
        ) from error


def _prepare(hub: HubSettings, say: Say) -> None:
    if (copy := migrate(hub)) is not None:
        say(f"The database was brought up to this version. Its copy from before is {copy}")
    if not hub.debug:
        collect_static()
    _ready_for_its_owner()
    landing.settle_all()
    shutil.rmtree(hub.metrics_dir, ignore_errors=True)
    if hub.starter and starter_is_due():
        _register_starter(say)
    # The supervisor itself has no more use for the database.
    connections.close_all()


def _register_starter(say: Say) -> None:
    """Give a hub without a model its first one. In a process of its own: it needs MLX."""
    say("Registering the starter model")
    command = [sys.executable, "-m", "django", "register_starter"]
    result = subprocess.run(  # noqa: S603 - our own command
        command, check=False, stderr=subprocess.PIPE, text=True, errors="replace"
    )
    for line in result.stderr.splitlines():
        say(line)
    if result.returncode:
        note_failure(result.stderr.strip()[-500:] or f"exit code {result.returncode}.")
        say(f"The starter model was not registered (exit code {result.returncode}); see above.")
        say("The hub starts without it. `mlx-hub import FILE --name NAME` adds a model.")
