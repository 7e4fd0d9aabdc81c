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
class Started:
    """A process, and for how many seconds it has been there."""

    pid: int
    seconds: float


@dataclass(frozen=True)
class Program:
    """What to run.

    ``probe`` is asked about a process again and again: None until it is ready, then a detail
    to report.
    """

    name: str
    command: tuple[str, ...]
    probe: Callable[[Started], Awaitable[str | None]]
    environment: dict[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 10.0
    """Seconds between ``stop_signal`` and SIGKILL."""
    retire_signal: signal.Signals | None = None
    """Has a process finish what it is at and end, while another one does all that is new."""
    descriptors: tuple[int, ...] = ()
    """Open files that its processes inherit, by the same numbers."""
    after: str = ""
    """The program whose first page or answer matters more: this one starts behind it."""


@dataclass
class Backoff:
    """How long to wait before the next start: doubled by every early death.

    Never for long after a blameless one, that had got ready or was killed from outside: it
    can start, and is missed.
    """

    first: float = 0.5
    longest: float = 30.0
    longest_if_blameless: float = 2.0
    healthy_after: float = 60.0
    _next: float = field(default=0.0, init=False)

    def after(self, lived: float, *, blameless: bool = False) -> float:
        """Seconds to wait after a process that lived ``lived`` seconds."""
        if lived >= self.healthy_after or not self._next:
            self._next = self.first
        delay = min(self._next, self.longest_if_blameless) if blameless else self._next
        self._next = min(delay * 2, self.longest)
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
    """A program's present process, and those that finish what they were at.

    All methods belong to one event loop.
    """

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
        self._life: Life | None = None
        self._others: set[Life] = set()
        """Those that take over, and those that were taken over from."""
        self._endings: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Keep the program running until ``stop``."""
        while not self._stopping.is_set():
            begun = time.monotonic()
            reason, blameless = await self._run_once()
            if self._stopping.is_set():
                break
            delay = self._backoff.after(time.monotonic() - begun, blameless=blameless)
            self._report(self.program.name, "crashed", f"{reason}; starts again in {delay:g} s")
            for line in self._log.take_tail():
                self._report(self.program.name, "|", line)
            await self._sleep(delay)
        await asyncio.gather(*self._endings)
        self._report(self.program.name, "stopped", "")

    async def replace(self) -> bool:
        """Have a new process take over from one that is ready; False where there is none.

        Where the new one does not get ready, the old one stays.
        """
        old = self._life
        if self.program.retire_signal is None or old is None or not old.ready.is_set():
            return False
        new = self._begin("replacing")
        self._keep_until_over(new)
        await asyncio.wait(
            {asyncio.create_task(new.ready.wait()), new.ended},
            timeout=SLOW_START,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if self._life is not old or self._stopping.is_set() or not new.ready.is_set():
            self._report(self.program.name, "kept", "the new process did not get ready")
            new.kill()
            return False
        self._life = new
        self._others.discard(new)
        self._keep_until_over(old)
        old.send(self.program.retire_signal)
        return True

    async def stop(self) -> None:
        """Ask every process to end, insist after the grace period, and wait for them."""
        self._stopping.set()
        lives = [life for life in (self._life, *self._others) if life and not life.ended.done()]
        for life in lives:
            life.send(self.program.stop_signal)
        if not lives:
            return
        _, late = await asyncio.wait([life.ended for life in lives], timeout=self.program.grace)
        if late:
            self._report(self.program.name, "killed", f"did not end in {self.program.grace:g} s")
            self.kill()
            await asyncio.wait(late)

    def kill(self) -> None:
        """End the processes and all that they started, now."""
        self._stopping.set()
        for life in (self._life, *self._others):
            if life is not None:
                life.kill()

    async def _run_once(self) -> tuple[str, bool]:
        """Until the present process ends; how, and whether that was no fault of its start."""
        self._life = self._begin("starting")
        while True:
            life = self._life
            returncode = await asyncio.shield(life.ended)
            if self._life is life:
                break
        self.ready.clear()
        await life.over()
        blameless = life.ready.is_set() or returncode == -signal.SIGKILL
        return exit_reason(returncode), blameless

    def _begin(self, state: str) -> Life:
        self._report(self.program.name, state, "")
        life = Life(self.program, self._log)
        self._started(self.program.name, life.pid)
        announcing = asyncio.create_task(self._announce_ready(life))
        life.ended.add_done_callback(lambda _: announcing.cancel())
        return life

    def _keep_until_over(self, life: Life) -> None:
        """One that is not the present process is ended with it all the same."""
        self._others.add(life)
        ending = asyncio.create_task(life.over())
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        ending.add_done_callback(lambda _: self._others.discard(life))

    async def _announce_ready(self, life: Life) -> None:
        begun = time.monotonic()
        slow = False
        while True:
            age = Started(life.pid, time.monotonic() - begun)
            detail = await self.program.probe(age)
            if detail is not None:
                break
            if age.seconds > SLOW_START and not slow:
                slow = True
                self._report(self.program.name, "slow", f"not ready yet; see {self._log.path}")
            await asyncio.sleep(PROBE_INTERVAL)
        self._report(self.program.name, "ready", f"pid {life.pid}  {detail}".rstrip())
        life.ready.set()
        self.ready.set()

    async def _sleep(self, seconds: float) -> None:
        """Wait, but not past the wish to stop."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return


class Life:
    """One process of a program, from its start to its end."""

    def __init__(self, program: Program, log: ProcessLog) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - commands come from programs.py alone
            program.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **program.environment},
            pass_fds=program.descriptors,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.ready = asyncio.Event()
        self.ended = asyncio.create_task(asyncio.to_thread(self._process.wait))
        self._pump = threading.Thread(target=_pump, args=(self._process.stdout, log), daemon=True)
        self._pump.start()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it and all that it started, now."""
        _kill_group(self.pid)

    async def over(self) -> None:
        """Wait until it has ended and its last words are in the log."""
        await asyncio.shield(self.ended)
        # What a crashed process had started must not go on working for a parent
        # that no longer listens.
        _kill_group(self.pid)
        await asyncio.to_thread(self._pump.join, LAST_OUTPUT)
        if self._process.stdin is not None:
            self._process.stdin.close()


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
