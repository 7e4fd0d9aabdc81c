"""The supervisor over small real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from mlxhub_site.supervisor.process import Backoff, Program, Started, exit_reason
from mlxhub_site.supervisor.supervisor import Supervisor
from tests.hub_process import until

WAIT_FOREVER = "import signal; print('up', flush=True); signal.pause()"
IGNORE_TERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAIT_FOREVER
CRASH = "import sys; print('the disk is full', flush=True); sys.exit(3)"
PATIENCE = 60.0
"""Seconds until a process is up or over, on a busy machine too."""


class Reports:
    """What the supervisor reported, and a way to wait for the next of a kind."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self.pids: dict[str, int] = {}
        self._news = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, name: str, state: str, detail: str) -> None:
        self.seen.append((name, state, detail))
        task = asyncio.get_running_loop().create_task(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def started(self, name: str, pid: int) -> None:
        self.pids[name] = pid

    async def until(self, name: str, state: str, *, times: int = 1) -> str:
        """The detail of the report that makes it ``times`` in all."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: len(self.details(name, state)) >= times)
        return self.details(name, state)[times - 1]

    def details(self, name: str, state: str) -> list[str]:
        return [detail for n, s, detail in self.seen if (n, s) == (name, state)]

    async def _notify(self) -> None:
        async with self._news:
            self._news.notify_all()


async def at_once(started: Started) -> str | None:
    return "at once"


def when_logged(path: Path, text: str) -> Callable[[Started], object]:
    """A probe that is satisfied once the log holds ``text``."""

    async def probe(started: Started) -> str | None:
        return "" if path.exists() and text in path.read_text() else None

    return probe


def program(name: str, code: str, logs: Path, **more: object) -> Program:
    """A program that is ready once it has printed "up"."""
    probe = when_logged(logs / f"{name}.log", "up")
    return Program(name, (sys.executable, "-c", code), **{"probe": probe, **more})


@asynccontextmanager
async def running(
    logs: Path, *programs: Program, backoff: Callable[[], Backoff] = Backoff
) -> AsyncIterator[tuple[Supervisor, Reports, asyncio.Task[None]]]:
    reports = Reports()
    supervisor = Supervisor(
        programs,
        logs_dir=logs,
        report=reports,
        started=reports.started,
        all_ready=lambda: reports("hub", "open", ""),
        backoff=backoff,
    )
    task = asyncio.create_task(supervisor.run())
    try:
        yield supervisor, reports, task
    finally:
        supervisor.stop()
        async with asyncio.timeout(PATIENCE):
            await task


async def test_the_hub_is_open_once_every_program_is_ready(tmp_path: Path) -> None:
    names = ("engine", "worker", "web")
    programs = [program(name, WAIT_FOREVER, tmp_path) for name in names]
    async with running(tmp_path, *programs) as (_, reports, _):
        await reports.until("hub", "open")
        assert {name for name, state, _ in reports.seen if state == "ready"} == set(names)


async def test_programs_stop_in_reverse_order(tmp_path: Path) -> None:
    names = ("engine", "worker", "web")
    programs = [program(name, WAIT_FOREVER, tmp_path) for name in names]
    async with running(tmp_path, *programs) as (supervisor, reports, task):
        await reports.until("hub", "open")
        supervisor.stop()
        await task
        stopped = [name for name, state, _ in reports.seen if state == "stopped"]
        assert stopped == ["web", "worker", "engine"]


async def test_a_program_starts_behind_the_one_it_names(tmp_path: Path) -> None:
    worker = program("worker", WAIT_FOREVER, tmp_path, after="web")
    web = program("web", WAIT_FOREVER, tmp_path)
    async with running(tmp_path, worker, web) as (_, reports, _):
        await reports.until("hub", "open")
        states = [(name, state) for name, state, _ in reports.seen]
        assert states.index(("web", "ready")) < states.index(("worker", "starting"))


async def test_a_program_that_waits_for_its_turn_can_be_stopped(tmp_path: Path) -> None:
    async def never(started: Started) -> str | None:
        return None

    worker = program("worker", WAIT_FOREVER, tmp_path, after="web")
    web = program("web", WAIT_FOREVER, tmp_path, probe=never)
    async with running(tmp_path, worker, web) as (supervisor, reports, task):
        await reports.until("web", "starting")
        supervisor.stop()
        await task
        assert "worker" not in reports.pids


async def test_a_crashed_process_is_started_again_with_its_reason_told(tmp_path: Path) -> None:
    crashing = program("engine", CRASH, tmp_path, probe=at_once)
    quick = lambda: Backoff(first=0.01)  # noqa: E731
    async with running(tmp_path, crashing, backoff=quick) as (_, reports, _):
        reason = await reports.until("engine", "crashed", times=2)
        assert reason == "exit code 3; starts again in 0.02 s"
        assert await reports.until("engine", "|") == "the disk is full"


async def test_a_killed_process_comes_back_with_a_new_id(tmp_path: Path) -> None:
    quick = lambda: Backoff(first=0.01)  # noqa: E731
    engine = program("engine", WAIT_FOREVER, tmp_path)
    async with running(tmp_path, engine, backoff=quick) as (_, reports, _):
        await reports.until("engine", "ready")
        first = reports.pids["engine"]
        os.kill(first, signal.SIGKILL)
        assert "killed by SIGKILL" in await reports.until("engine", "crashed")
        await reports.until("engine", "ready", times=2)
        assert reports.pids["engine"] != first


async def test_a_process_that_ignores_its_stop_signal_is_killed(tmp_path: Path) -> None:
    stubborn = program("web", IGNORE_TERM, tmp_path, grace=0.1)
    async with running(tmp_path, stubborn) as (supervisor, reports, task):
        await reports.until("web", "ready")
        supervisor.stop()
        await task
        assert reports.details("web", "killed") == ["did not end in 0.1 s"]


RETIRES = (
    "import signal, sys; signal.signal(signal.SIGUSR1, lambda *_: sys.exit(0)); " + WAIT_FOREVER
)


async def test_a_new_process_takes_over_before_the_old_one_ends(tmp_path: Path) -> None:
    web = program("web", RETIRES, tmp_path, retire_signal=signal.SIGUSR1)
    async with running(tmp_path, web, program("engine", WAIT_FOREVER, tmp_path)) as (
        supervisor,
        reports,
        _,
    ):
        await reports.until("hub", "open")
        first = reports.pids["web"]
        supervisor.replace()
        await reports.until("web", "ready", times=2)
        assert reports.pids["web"] != first
        await asyncio.to_thread(until, lambda: not psutil.pid_exists(first))
        assert reports.details("web", "crashed") == []
        assert reports.details("engine", "replacing") == []


async def test_a_process_stays_where_its_successor_does_not_get_ready(tmp_path: Path) -> None:
    marker = tmp_path / "once"
    once = (
        f"import os, sys; os.path.exists({str(marker)!r}) and sys.exit(1); "
        f"open({str(marker)!r}, 'w').close(); {RETIRES}"
    )
    firsts: list[int] = []

    async def probe(started: Started) -> str | None:
        firsts.append(started.pid)
        return "" if started.pid == firsts[0] and marker.exists() else None

    web = program("web", once, tmp_path, retire_signal=signal.SIGUSR1, probe=probe)
    async with running(tmp_path, web) as (supervisor, reports, _):
        await reports.until("web", "ready")
        supervisor.replace()
        await reports.until("web", "kept")
        os.kill(firsts[0], 0)


async def test_a_second_stop_does_not_wait_for_the_grace_period(tmp_path: Path) -> None:
    stubborn = program("web", IGNORE_TERM, tmp_path, grace=600.0)
    async with running(tmp_path, stubborn) as (supervisor, reports, task):
        await reports.until("web", "ready")
        supervisor.stop()
        supervisor.stop()
        async with asyncio.timeout(PATIENCE):
            await task


async def test_a_stop_during_back_off_does_not_wait_for_the_next_start(tmp_path: Path) -> None:
    crashing = program("engine", CRASH, tmp_path, probe=at_once)
    slow = lambda: Backoff(first=600.0)  # noqa: E731
    async with running(tmp_path, crashing, backoff=slow) as (supervisor, reports, task):
        await reports.until("engine", "crashed")
        supervisor.stop()
        async with asyncio.timeout(PATIENCE):
            await task


async def test_sigterm_stops_the_supervisor(tmp_path: Path) -> None:
    async with running(tmp_path, program("web", WAIT_FOREVER, tmp_path)) as (_, reports, task):
        await reports.until("web", "ready")
        signal.raise_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            await task
        assert reports.details("web", "stopped") == [""]


def test_back_off_doubles_up_to_its_limit() -> None:
    backoff = Backoff()
    assert [backoff.after(1.0) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_back_off_starts_over_after_a_minute_of_health() -> None:
    backoff = Backoff()
    for _ in range(4):
        backoff.after(1.0)
    assert backoff.after(61.0) == 0.5
    assert backoff.after(1.0) == 1.0


def test_back_off_keeps_nobody_waiting_for_a_process_that_can_start() -> None:
    backoff = Backoff()
    assert [backoff.after(5.0, blameless=True) for _ in range(5)] == [0.5, 1, 2, 2, 2]
    assert [backoff.after(1.0) for _ in range(2)] == [4, 8]


@pytest.mark.parametrize(
    ("returncode", "reason"),
    [(0, "exit code 0"), (1, "exit code 1"), (-9, "killed by SIGKILL"), (-6, "killed by SIGABRT")],
)
def test_an_exit_is_named(returncode: int, reason: str) -> None:
    assert exit_reason(returncode) == reason
