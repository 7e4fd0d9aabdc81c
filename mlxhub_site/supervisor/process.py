"""One program kept running: start, watch, restart after a crash, stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import IO

from mlxhub_site.supervisor.logs import ProcessLog

PROBE_INTERVAL = 0.05
"""Seconds between two looks at whether a process is ready."""

SLOW_START = 60.0
"""Seconds after which a process that is not ready yet is mentioned."""

LAST_OUTPUT = 1.0
"""Seconds to wait for the rest of a dead process's output."""

Report = Callable[[str, str, str], None]
"""Called with a process's name, its new state and a detail."""


@dataclass(frozen=True)
class Program:
    """What to run.

    ``probe`` is called with the seconds since the process was started, again and
    again; it answers None until the process is ready, then a detail to report.
    """

    name: str
    command: tuple[str, ...]
    probe: Callable[[float], Awaitable[str | None]]
    environment: dict[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 10.0
    """Seconds between ``stop_signal`` and SIGKILL."""
    after: str = ""
    """The program whose first page or answer matters more: this one starts behind it."""


@dataclass
class Backoff:
    """How long to wait before the next start: doubled by every early death."""

    first: float = 0.5
    longest: float = 30.0
    healthy_after: float = 60.0
    _next: float = field(default=0.0, init=False)

    def after(self, lived: float) -> float:
        """Seconds to wait after a process that lived ``lived`` seconds."""
        if lived >= self.healthy_after or not self._next:
            self._next = self.first
        delay = self._next
        self._next = min(self._next * 2, self.longest)
        return delay


def exit_reason(returncode: int) -> str:
    """How a process ended, from subprocess's return code."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"


class ManagedProcess:
    """A program's current process. All methods belong to one event loop."""

    def __init__(
        self,
        program: Program,
        *,
        log: ProcessLog,
        report: Report,
        started: Callable[[str, int], None],
        backoff: Backoff | None = None,
    ) -> None:
        self.program = program
        self.ready = asyncio.Event()
        self._log = log
        self._report = report
        self._started = started
        self._backoff = backoff or Backoff()
        self._stopping = asyncio.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._ended: asyncio.Task[int] | None = None

    async def run(self) -> None:
        """Keep the program running until ``stop``."""
        while not self._stopping.is_set():
            begun = time.monotonic()
            reason = await self._run_once()
            if self._stopping.is_set():
                break
            delay = self._backoff.after(time.monotonic() - begun)
            self._report(self.program.name, "crashed", f"{reason}; starts again in {delay:g} s")
            for line in self._log.take_tail():
                self._report(self.program.name, "|", line)
            await self._sleep(delay)
        self._report(self.program.name, "stopped", "")

    async def stop(self) -> None:
        """Ask the process to end, insist after its grace period, and wait for it."""
        self._stopping.set()
        process, ended = self._process, self._ended
        if process is None or ended is None or ended.done():
            return
        process.send_signal(self.program.stop_signal)
        done, _ = await asyncio.wait({ended}, timeout=self.program.grace)
        if not done:
            self._report(self.program.name, "killed", f"did not end in {self.program.grace:g} s")
            self.kill()
            await asyncio.wait({ended})

    def kill(self) -> None:
        """End the process and all that it started, now."""
        self._stopping.set()
        if self._process is not None:
            _kill_group(self._process.pid)

    async def _run_once(self) -> str:
        """One life of the process; returns how it ended."""
        process = self._start()
        pump = threading.Thread(target=_pump, args=(process.stdout, self._log), daemon=True)
        pump.start()
        self._ended = asyncio.create_task(asyncio.to_thread(process.wait))
        announcing = asyncio.create_task(self._announce_ready(process.pid))
        try:
            returncode = await asyncio.shield(self._ended)
        finally:
            announcing.cancel()
            self.ready.clear()
        # What a crashed process had started must not go on working for a parent
        # that no longer listens.
        _kill_group(process.pid)
        await asyncio.to_thread(pump.join, LAST_OUTPUT)
        if process.stdin is not None:
            process.stdin.close()
        return exit_reason(returncode)

    def _start(self) -> subprocess.Popen[bytes]:
        self._report(self.program.name, "starting", "")
        process = subprocess.Popen(  # noqa: S603 - commands come from programs.py alone
            self.program.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self.program.environment},
            start_new_session=True,
        )
        self._process = process
        self._started(self.program.name, process.pid)
        return process

    async def _announce_ready(self, pid: int) -> None:
        begun = time.monotonic()
        slow = False
        while (detail := await self.program.probe(lived := time.monotonic() - begun)) is None:
            if lived > SLOW_START and not slow:
                slow = True
                self._report(self.program.name, "slow", f"not ready yet; see {self._log.path}")
            await asyncio.sleep(PROBE_INTERVAL)
        self._report(self.program.name, "ready", f"pid {pid}  {detail}".rstrip())
        self.ready.set()

    async def _sleep(self, seconds: float) -> None:
        """Wait, but not past the wish to stop."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return


def _pump(output: IO[bytes], log: ProcessLog) -> None:
    """Carry a process's output to its log until it closes it."""
    with output:
        while chunk := os.read(output.fileno(), 65536):
            log.feed(chunk)
    log.end()


def _kill_group(pid: int) -> None:
    # macOS answers PermissionError for a group of which only a zombie is left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
