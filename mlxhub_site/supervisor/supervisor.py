"""All of the hub's processes: started together, stopped in order by one Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from mlxhub_site.supervisor.logs import ProcessLog
from mlxhub_site.supervisor.process import Backoff, ManagedProcess, Program, Report

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

REPLACE_SIGNAL = signal.SIGUSR1

SAME_SIGNAL = 0.5
"""Seconds in which another signal is the same wish: make and a terminal both pass it on."""

TURN = 5.0
"""Seconds after which a program starts although the one it stands behind isn't ready."""


class Supervisor:
    """Runs ``programs`` until a stop signal, then stops the last one first.

    REPLACE_SIGNAL puts new processes in place of those that can hand over.

    ``started`` is told each process id; ``all_ready`` is called once, when every
    program has been ready.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        logs_dir: Path,
        report: Report,
        started: Callable[[str, int], None],
        all_ready: Callable[[], None],
        backoff: Callable[[], Backoff] = Backoff,
    ) -> None:
        self._processes = {
            program.name: ManagedProcess(
                program,
                log=ProcessLog(logs_dir / f"{program.name}.log"),
                report=report,
                started=started,
                backoff=backoff(),
            )
            for program in programs
        }
        self._all_ready = all_ready
        self._report = report
        self._stop = asyncio.Event()
        self._first_signal = 0.0
        self._replacing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Returns when a stop signal came and every process has ended."""
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._on_signal)
        loop.add_signal_handler(REPLACE_SIGNAL, self.replace)
        announcing = asyncio.create_task(self._announce())
        runs = {
            process: asyncio.create_task(self._run_in_turn(process))
            for process in self._processes.values()
        }
        try:
            await self._stop.wait()
            announcing.cancel()
            for process, kept_running in reversed(runs.items()):
                await process.stop()
                await kept_running
            if self._replacing is not None:
                await self._replacing
        finally:
            for process in self._processes.values():
                process.kill()
            for number in (*STOP_SIGNALS, REPLACE_SIGNAL):
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        """Begin to stop; a second call ends every process at once."""
        if self._stop.is_set():
            for process in self._processes.values():
                process.kill()
        self._stop.set()

    def replace(self) -> None:
        """Put new processes in place of those that can hand over; nothing is cut off by it."""
        if not self._stop.is_set() and (self._replacing is None or self._replacing.done()):
            self._replacing = asyncio.create_task(self._replace())

    async def _replace(self) -> None:
        for process in self._processes.values():
            await process.replace()

    def _on_signal(self) -> None:
        now = asyncio.get_running_loop().time()
        if not self._stop.is_set():
            self._first_signal = now
            self._report("hub", "stopping", "Ctrl-C again ends it at once")
            self.stop()
        elif now - self._first_signal > SAME_SIGNAL:
            self._report("hub", "killing", "")
            self.stop()

    async def _run_in_turn(self, process: ManagedProcess) -> None:
        if first := self._processes.get(process.program.after):
            waits = [asyncio.create_task(wish.wait()) for wish in (first.ready, self._stop)]
            await asyncio.wait(waits, timeout=TURN, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        if not self._stop.is_set():
            await process.run()

    async def _announce(self) -> None:
        for process in self._processes.values():
            await process.ready.wait()
        self._all_ready()
