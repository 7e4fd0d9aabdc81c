"""A hub that exists for a soak alone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import httpx2

from apps.inference.client import EngineClient
from mlxhub_site.commands.outcome import CommandFailed

START_SECONDS = 300.0
STOP_SECONDS = 90.0

LITTLE_ROOM = {"MLXHUB_PROMPT_CACHE_GB": "0.06", "MLXHUB_PROMPT_CACHE_DISK_GB": "0.5"}
"""Caches that are soon full, also again after each unload: what still grows then is no cache."""


@dataclass(frozen=True)
class SoakedHub:
    home: Path
    port: int
    pid: int
    """Of its supervisor."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def engine(self) -> EngineClient:
        return EngineClient(self.home / "run" / "engine.sock")

    def processes(self) -> dict[str, int]:
        """Ids of the processes that last, by name; the supervisor is ``hub``."""
        recorded = json.loads((self.home / "run" / "processes.json").read_text())
        return {"hub": self.pid} | {name: pid for name, (pid, _) in recorded.items()}

    @property
    def disk_bytes(self) -> int:
        """Of everything in its folder."""
        sizes = 0
        for folder, _, names in os.walk(self.home):
            for name in names:
                try:
                    sizes += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - hot
                except FileNotFoundError:
                    continue  # it was there a moment ago
        return sizes


@contextmanager
def soaked_hub() -> Iterator[SoakedHub]:
    """`mlx-hub up` in an empty folder with its starter model. Raises CommandFailed."""
    with tempfile.TemporaryDirectory(prefix="mlxhub-", ignore_cleanup_errors=True) as folder:
        home, port = Path(folder), _free_port()
        command = [sys.executable, "-c", "from mlxhub_site.cli import main; main()", "up"]
        environment = os.environ | {"MLXHUB_HOME": folder, "MLXHUB_PORT": str(port)} | LITTLE_ROOM
        log = home / "up.log"
        with (
            log.open("wb") as output,
            subprocess.Popen(  # noqa: S603 - our own command
                command, env=environment, stdout=output, stderr=output, start_new_session=True
            ) as process,
        ):
            try:
                with _ended_by_an_exception():
                    hub = SoakedHub(home, port, process.pid)
                    _wait_until_ready(hub, process, log)
                    yield hub
            finally:
                _stop(process)


@contextmanager
def _ended_by_an_exception() -> Iterator[None]:
    """SIGTERM and SIGHUP leave the block as Ctrl-C does: the hub must not stay behind."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_until_ready(hub: SoakedHub, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx2.get(f"{hub.url}/healthz/ready", trust_env=False).is_success:
                return
        except httpx2.HTTPError:
            pass  # not yet
        time.sleep(0.2)
    raise CommandFailed(f"The hub did not get ready:\n{log.read_text(errors='replace')[-2000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        # Its children end with it: they notice that their supervisor is gone.
        process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
