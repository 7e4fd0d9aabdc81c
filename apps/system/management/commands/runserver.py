"""`manage.py runserver`: pages and API under uvicorn, with an engine beside them.

Replaces Django's own, which is WSGI and cannot stream an answer. The worker is
not started: `mlx-hub up` runs all three.
"""

from __future__ import annotations

import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management import BaseCommand, CommandError

from apps.inference.client import EngineUnavailable
from apps.inference.launch import engine_command
from apps.inference.services import engine
from apps.system.static_files import collect_static

CODE = ("apps", "mlxhub_site")
"""Folders whose changes restart the server in DEBUG."""

ENGINE_START = 60.0
"""Seconds the engine gets to answer before the server starts without it."""

ENGINE_GRACE = 10.0
"""Seconds the engine gets to end after SIGTERM."""


class Command(BaseCommand):
    help = "Serve pages and API on [address:]port, and run the engine if none is running."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "addrport", nargs="?", default="127.0.0.1:8000", help="[address:]port to serve on."
        )
        parser.add_argument(
            "--noreload", action="store_true", help="Don't restart when a file changes."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        host, port = parse_address(options["addrport"])
        self.check_migrations()
        if not settings.DEBUG:
            collect_static()
        reload = settings.DEBUG and not options["noreload"]
        with _engine_beside(self):
            uvicorn.run(
                settings.ASGI_APPLICATION.replace(".application", ":application"),
                host=host,
                port=port,
                reload=reload,
                reload_dirs=[str(settings.BASE_DIR / name) for name in CODE] if reload else None,
                log_level=settings.HUB.log_level,
                lifespan="off",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=3,
            )


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of ``[address:]port``, an IPv6 address in brackets."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) <= 65535:
        raise CommandError(f"{text!r} is not [address:]port; for example 127.0.0.1:8000.")
    return host.strip("[]") or "127.0.0.1", int(port)


@contextmanager
def _engine_beside(command: BaseCommand) -> Iterator[None]:
    """An engine for as long as the server runs, unless one is running already."""
    try:
        status = engine().status()
    except EngineUnavailable:
        pass
    else:
        command.stdout.write(f"Using the engine that is running (pid {status.pid}).")
        yield
        return
    # In a session of its own, so that Ctrl-C reaches it through us; the launcher
    # ends it with us whichever way we end.
    launcher = [sys.executable, "-m", "mlxhub_site.supervisor.child", *engine_command()[2:]]
    process = subprocess.Popen(  # noqa: S603 - our own command
        launcher, stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        if _answers_soon(process):
            command.stdout.write(f"Started the engine (pid {process.pid}).")
        else:
            command.stderr.write("The engine does not answer; see above. Serving without it.")
        yield
    finally:
        process.terminate()
        try:
            process.wait(ENGINE_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers_soon(process: subprocess.Popen[bytes]) -> bool:
    """Wait for the engine, so that the first request served finds it."""
    deadline = time.monotonic() + ENGINE_START
    while process.poll() is None and time.monotonic() < deadline:
        try:
            engine().status()
        except EngineUnavailable:
            time.sleep(0.1)
        else:
            return True
    return False
