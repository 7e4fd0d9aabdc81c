"""The hub's three programs: how each is started, and how to tell that it is ready."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from apps.inference.client import AsyncEngineClient, EngineError
from apps.inference.engine.protocol import Accelerator
from apps.inference.heartbeat import QueueUnreachable, last_beat_age
from apps.inference.launch import engine_command
from mlxhub_site.hub_settings import HubSettings
from mlxhub_site.supervisor.addresses import page_url
from mlxhub_site.supervisor.process import Program, Started

WEB = "web"
"""The program whose pages people open."""

PAGE_TIMEOUT = 10.0
"""Seconds the first page may take to answer a probe."""

APPLICATION = "mlxhub_site.asgi:application"

STOPPING = 10.0
"""Seconds that a process has to end beside those for the answers it is at."""

FEW_HEAPS = {"MALLOC_ARENA_MAX": os.environ.get("MALLOC_ARENA_MAX", "2")}
"""glibc gives threads heaps of their own, up to eight a core, each of which keeps what the
busiest of its threads needed. Every request has a thread, so a web process grew for hours.
"""


def hub_programs(hub: HubSettings, listener: socket.socket) -> tuple[Program, ...]:
    """Engine, worker and web, in the order they start; they stop in reverse."""
    return engine_program(hub), worker_program(), web_program(hub, listener)


def engine_program(hub: HubSettings) -> Program:
    client = AsyncEngineClient(hub.engine_socket)

    async def probe(started: Started) -> str | None:
        try:
            status = await client.status()
        except EngineError:
            return None
        return describe_accelerator(status.accelerator)

    command = _child(engine_command(log_format="json")[2:])
    return Program("engine", command, probe, environment=FEW_HEAPS)


def worker_program() -> Program:
    async def probe(started: Started) -> str | None:
        try:
            age = await asyncio.to_thread(last_beat_age)
        except QueueUnreachable:
            return None
        return None if age is None or age > started.seconds else ""

    return Program(
        "worker",
        _child(("django", "run_huey")),
        probe,
        environment=_named("worker"),
        # Huey drains on SIGINT: running tasks end, waiting ones stay in the queue.
        stop_signal=signal.SIGINT,
        grace=20.0,
        # Three interpreters that start at once on two cores keep the first page waiting.
        after=WEB,
    )


def web_program(hub: HubSettings, listener: socket.socket | None = None) -> Program:
    """``listener``: a socket that outlives its processes; None: each opens one of its own."""
    url = page_url(hub)

    async def probe(started: Started) -> str | None:
        # The page alone does not tell: where two listen, either may answer.
        if not await asyncio.to_thread(_listens, hub.web_pid_file, started.pid):
            return None
        return url if await asyncio.to_thread(_answers, url) else None

    inherited = () if listener is None else (listener.fileno(),)
    return Program(
        WEB,
        _child(("mlxhub_site.web", APPLICATION, *(f"--fd={number}" for number in inherited))),
        probe,
        environment=_named("web"),
        grace=hub.drain_seconds + STOPPING,
        retire_signal=signal.SIGUSR1 if inherited else None,
        descriptors=inherited,
    )


def _listens(pid_file: Path, pid: int) -> bool:
    try:
        return pid_file.read_text() == str(pid)
    except OSError:
        return False


def describe_accelerator(accelerator: Accelerator) -> str:
    """One line for people: back end, its name, and the BLAS where there is one."""
    parts = [accelerator.backend, accelerator.name]
    if accelerator.blas:
        parts.append(f"BLAS {accelerator.blas}")
    if accelerator.warning:
        parts.append(accelerator.warning)
    return ", ".join(part for part in parts if part)


def _named(process: str) -> dict[str, str]:
    """What a Django process has to know to write its log for others to read."""
    return FEW_HEAPS | {"MLXHUB_PROCESS_NAME": process, "MLXHUB_LOG_FORMAT": "json"}


def _child(module_and_arguments: Sequence[str]) -> tuple[str, ...]:
    return (sys.executable, "-m", "mlxhub_site.supervisor.child", *module_and_arguments)


# Proxies are for the world outside, not for a page on this machine.
_opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({}),
    # The certificate is for other names, and who answers on the own port is no question.
    urllib.request.HTTPSHandler(context=ssl._create_unverified_context()),  # noqa: S323
)


def _answers(url: str) -> bool:
    """Whether the page at ``url`` is served, redirects followed."""
    try:
        with _opener.open(url, timeout=PAGE_TIMEOUT) as response:
            return bool(response.status < 400)
    except (urllib.error.URLError, OSError):
        return False
