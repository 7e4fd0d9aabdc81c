"""A real hub, `mlx-hub up`, in a folder of its own: for end-to-end tests and benchmarks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil

from apps.inference.client import EngineClient, EngineError
from apps.inference.engine.protocol import Status
from tests.prepared_folder import prepare_folder

STARTER = "smollm2-135m-instruct"
START_SECONDS = 180.0
STOP_SECONDS = 120.0
PATIENCE = 60.0
"""Seconds until a hub of a busy machine has answered what takes none of its engine's time."""

T = TypeVar("T")


class HubProcess:
    """One hub; it can be killed and started again on the same folder and port."""

    def __init__(self, home: Path, settings: Mapping[str, str] | None = None) -> None:
        """``settings``: environment variables of the hub beside MLXHUB_HOME."""
        self.home = home
        self._settings = dict(settings or {})
        self.port = free_port()
        self.output: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def starter(self) -> Path:
        """The starter model's folder."""
        return self.home / "models" / STARTER

    @property
    def engine(self) -> EngineClient:
        return EngineClient(self.home / "run" / "engine.sock")

    @property
    def environment(self) -> dict[str, str]:
        """Of its processes, and of commands that are about this hub."""
        return os.environ | self._settings | {"MLXHUB_HOME": str(self.home)}

    @property
    def runs(self) -> bool:
        """Whether its supervisor does."""
        return self._process is not None and self._process.poll() is None

    def engine_status(self) -> Status | None:
        """None where no engine answers."""
        try:
            return self.engine.status()
        except EngineError:
            return None

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        assert self._process is not None
        return self._process.pid

    def processes(self) -> list[psutil.Process]:
        """The supervisor's children and theirs."""
        return psutil.Process(self.pid).children(recursive=True)

    def start(self) -> None:
        """Start it and wait until all of its processes are ready."""
        self._process = subprocess.Popen(
            [Path(sys.executable).with_name("mlx-hub"), "up", "--port", str(self.port)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        opened = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(self._process, opened))
        self._reader.start()
        if not opened.wait(START_SECONDS):
            raise AssertionError("the hub did not open:\n" + "".join(self.output))

    def stop(self) -> int:
        """SIGTERM, where it runs; the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._ended()

    def kill(self) -> None:
        """SIGKILL to the supervisor; its children have to notice by themselves."""
        assert self._process is not None
        self._process.kill()
        self._ended()

    def kill_all(self) -> None:
        """SIGKILL to the supervisor and all its children, as a power failure would."""
        assert self._process is not None
        for process in (psutil.Process(self.pid), *self.processes()):
            process.kill()
        self._ended()

    def _ended(self) -> int:
        """Wait for the process, and for the last line of its output."""
        assert self._process is not None
        assert self._reader is not None
        status = self._process.wait(STOP_SECONDS)
        self._reader.join(STOP_SECONDS)
        return status

    def _read(self, process: subprocess.Popen[str], opened: threading.Event) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self.output.append(line)
                if line.startswith("Everything is ready"):
                    opened.set()


@contextmanager
def running_hub(
    settings: Mapping[str, str] | None = None, *, prepared: bool = True
) -> Iterator[HubProcess]:
    """A hub of its own. The folder's path is short, as a socket's has to be.

    ``prepared``: what its first start would make is there already.
    """
    with tempfile.TemporaryDirectory(prefix="mlxhub-", ignore_cleanup_errors=True) as folder:
        hub = HubProcess(Path(folder), settings)
        if prepared:
            prepare_folder(hub.home, settings or {})
        try:
            hub.start()
            yield hub
        finally:
            hub.stop()


def until(condition: Callable[[], T], *, seconds: float = PATIENCE) -> T:
    """Wait for a condition to come true; what it returned."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError("it did not come true in time")
        time.sleep(0.02)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
