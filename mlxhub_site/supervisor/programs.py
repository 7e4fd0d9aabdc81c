"""The hub's three programs: how each is started, and how to tell that it is ready."""

from __future__ import annotations

import asyncio
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence

from apps.inference.client import AsyncEngineClient, EngineError
from apps.inference.engine.protocol import Accelerator
from apps.inference.heartbeat import QueueUnreachable, last_beat_age
from apps.inference.launch import engine_command
from mlxhub_site.settings import HubSettings
from mlxhub_site.supervisor.process import Program

PAGE_TIMEOUT = 10.0
"""Seconds the first page may take to answer a probe."""

WEB_DRAIN = 3
"""Seconds that open connections get when the web process stops."""


def hub_programs(hub: HubSettings) -> tuple[Program, ...]:
    """Engine, worker and web, in the order they start; they stop in reverse."""
    return engine_program(hub), worker_program(), web_program(hub)


def engine_program(hub: HubSettings) -> Program:
    client = AsyncEngineClient(hub.engine_socket)

    async def probe(lived: float) -> str | None:
        try:
            status = await client.status()
        except EngineError:
            return None
        return describe_accelerator(status.accelerator)

    return Program("engine", _child(engine_command()[2:]), probe)


def worker_program() -> Program:
    async def probe(lived: float) -> str | None:
        try:
            age = await asyncio.to_thread(last_beat_age)
        except QueueUnreachable:
            return None
        return None if age is None or age > lived else ""

    return Program(
        "worker",
        _child(("django", "run_huey")),
        probe,
        # Huey drains on SIGINT: running tasks end, waiting ones stay in the queue.
        stop_signal=signal.SIGINT,
        grace=20.0,
        # Three interpreters that start at once on two cores keep the first page waiting.
        after="web",
    )


def web_program(hub: HubSettings) -> Program:
    url = page_url(hub)

    async def probe(lived: float) -> str | None:
        return url if await asyncio.to_thread(_answers, url) else None

    command = _child(
        (
            "uvicorn",
            "mlxhub_site.asgi:application",
            f"--host={hub.host}",
            f"--port={hub.port}",
            f"--log-level={hub.log_level}",
            f"--timeout-graceful-shutdown={WEB_DRAIN}",
            "--lifespan=off",
            "--no-server-header",
            # What a caller writes into forwarding headers is not to be believed:
            # the hub decides by the real peer address.
            "--no-proxy-headers",
            "--access-log" if hub.debug else "--no-access-log",
        )
    )
    return Program("web", command, probe)


def page_url(hub: HubSettings) -> str:
    """Where a browser on this machine finds the hub."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(hub.host, hub.host)  # noqa: S104
    return f"http://[{host}]:{hub.port}" if ":" in host else f"http://{host}:{hub.port}"


def describe_accelerator(accelerator: Accelerator) -> str:
    """One line for people: back end, its name, and the BLAS where there is one."""
    parts = [accelerator.backend, accelerator.name]
    if accelerator.blas:
        parts.append(f"BLAS {accelerator.blas}")
    if accelerator.warning:
        parts.append(accelerator.warning)
    return ", ".join(part for part in parts if part)


def _child(module_and_arguments: Sequence[str]) -> tuple[str, ...]:
    return (sys.executable, "-m", "mlxhub_site.supervisor.child", *module_and_arguments)


# Proxies are for the world outside, not for a page on this machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _answers(url: str) -> bool:
    """Whether the page at ``url`` is served, redirects followed."""
    try:
        with _opener.open(url, timeout=PAGE_TIMEOUT) as response:
            return bool(response.status < 400)
    except (urllib.error.URLError, OSError):
        return False
