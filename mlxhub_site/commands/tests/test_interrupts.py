"""Ctrl-C in a command that carries out or follows a job."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest

from mlxhub_site.commands import following, interrupts
from mlxhub_site.commands.outcome import Interrupted
from mlxhub_site.commands.output import Tell


class Hub:
    """A hub with one job, which ends when it is told to."""

    is_remote = True

    def __init__(self, *, obeys: bool = True) -> None:
        self.told: list[str] = []
        self._obeys = obeys
        self._looks = 0

    def look(self, path: str) -> dict[str, Any]:
        self._looks += 1
        if self._looks <= 2:
            signal.raise_signal(signal.SIGINT)
        over = bool(self.told) and self._obeys
        state = "cancelled" if over else "running"
        return {"id": 1, "state": state, "doing": "", "fraction": 0.5}

    def post(self, path: str) -> None:
        self.told.append(path)


JOB = {"id": 1, "state": "running", "doing": "reading", "fraction": 0.0}


def no_work(key: int, tell: Tell, interrupted: threading.Event) -> None:
    raise AssertionError("it is another machine's")


def watch(hub: Hub, **more: Any) -> dict[str, Any]:
    return following.watched(hub, "/api/jobs/1", dict(JOB), no_work, **more)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.0)


def test_the_hub_is_told_once_and_the_end_waited_for() -> None:
    hub = Hub()
    with interrupts.one_command() as was_interrupted:
        assert watch(hub)["state"] == "cancelled"
        assert was_interrupted()
    assert hub.told == ["/api/jobs/1/cancel"]


def test_how_it_is_to_end_is_the_jobs_own_matter() -> None:
    hub = Hub()
    watch(hub, end="stop")
    assert hub.told == ["/api/jobs/1/stop"]


def test_a_second_one_leaves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "SAME_SIGNAL", -1.0)
    with pytest.raises(Interrupted, match="it was told to"):
        watch(Hub(obeys=False))


def test_one_that_comes_twice_is_one() -> None:
    with interrupts.interrupts() as interrupted:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert interrupted.is_set()


def test_nothing_is_noticed_where_nobody_interrupts() -> None:
    with interrupts.one_command() as was_interrupted:
        with interrupts.interrupts():
            pass
        assert not was_interrupted()
