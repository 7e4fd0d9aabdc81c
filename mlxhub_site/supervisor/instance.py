"""One hub per data folder, and the processes that a killed one left behind."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ORPHANS_GRACE = 3.0
"""Seconds that processes of a killed hub still get to end by themselves.

They were told when it died, and had as long as the new one took to get here."""


class StartRefused(Exception):
    """The hub cannot start; the message says why and what to do."""


@contextmanager
def only_hub(run_dir: Path, *, address: str) -> Iterator[None]:
    """Hold the data folder's lock; raises StartRefused where another hub holds it.

    The kernel drops the lock when its holder ends, however it ends: a file left
    behind means nothing.
    """
    path = run_dir / "hub.lock"
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().strip() or "starting"
            raise StartRefused(
                f"A hub already runs on {run_dir.parent} ({holder}). Stop it first, or set "
                "MLXHUB_HOME to another folder to run a second one."
            ) from error
        lock.truncate(0)
        lock.write(f"pid {os.getpid()}, {address}")
        lock.flush()
        yield


def running_hub_url(run_dir: Path) -> str | None:
    """Where the hub of this data folder listens; None where none runs."""
    return _holder(run_dir).rpartition(", ")[2] or None


def running_hub_pid(run_dir: Path) -> int | None:
    """The process id of this data folder's hub; None where none runs."""
    _, _, pid = _holder(run_dir).partition(",")[0].partition("pid ")
    return int(pid) if pid else None


def _holder(run_dir: Path) -> str:
    """What the hub that holds the lock wrote into it; empty where none does."""
    try:
        with (run_dir / "hub.lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return lock.read()
    except FileNotFoundError:
        pass
    return ""


@contextmanager
def bound_socket(host: str, port: int) -> Iterator[socket.socket]:
    """The hub's socket. Once a web process listens on it, it stays: who calls while none is
    there waits for the next one.

    Raises StartRefused where the hub can't listen there.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _unable(host, port, error) from error
    with listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError as error:
            raise _unable(host, port, error) from error
        yield listener


def _unable(host: str, port: int, error: OSError) -> StartRefused:
    return StartRefused(
        f"Cannot listen on {host}, port {port}: {error.strerror}. Choose another one with "
        f"`mlx-hub up --port {port + 1}` or MLXHUB_PORT={port + 1}."
    )


class ProcessRecord:
    """Which processes run for the hub, on disk, so that the next start can find them."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / "processes.json"
        self._running: dict[str, tuple[int, float]] = {}

    def add(self, name: str, pid: int) -> None:
        """``name`` runs as ``pid`` from now on."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._running[name] = (pid, psutil.Process(pid).create_time())
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._running))
        temporary.replace(self._path)

    def clear(self) -> None:
        """All of them have ended."""
        self._path.unlink(missing_ok=True)

    def end_orphans(self, report: Callable[[str], None]) -> None:
        """Wait for what a killed hub left running, and end it where it does not end itself.

        The supervisor's death has told these processes to stop; the time a process
        was created tells them from others that got the same id since.
        """
        orphans = [orphan for orphan in self._recorded() if _alive(orphan)]
        if not orphans:
            return
        report("Waiting for the processes of a hub that was killed to end.")
        for orphan in wait_for_end(orphans):
            with contextlib.suppress(psutil.NoSuchProcess):
                orphan.kill()
        wait_for_end(orphans)

    def _recorded(self) -> list[psutil.Process]:
        try:
            recorded = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return []
        found = []
        for pid, created in recorded.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                if abs(process.create_time() - created) < 0.01:
                    found.append(process)
        return found


def _alive(process: psutil.Process) -> bool:
    """Whether it still runs. In a container nobody may reap an orphan: a zombie is gone."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_for_end(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that are still there after ORPHANS_GRACE."""
    deadline = time.monotonic() + ORPHANS_GRACE
    while (alive := [p for p in processes if _alive(p)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive
