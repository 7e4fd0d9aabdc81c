"""Two ranks on this machine, started by mlx.launch as on two machines."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import mlx.core as mx
import psutil
import pytest

from apps.training.trainer.events import Ended, Event, Failed
from apps.training.trainer.tests.runs import events, make_run, pairs, train

PATIENCE = 240.0
"""Seconds: these tests may share two cores with many others."""

TWICE: dict[str, Any] = {
    "hosts": ["127.0.0.1", "127.0.0.1"],
    "host_timeout": 240,
    "batch_size": 4,
    # Ranks draw dropout of their own.
    "lora": {"rank": 2, "scale": 4.0, "dropout": 0.0},
}


@contextmanager
def trainer(run: Path) -> Iterator[subprocess.Popen[str]]:
    """The process that starts the ranks; whatever is left of it and them ends with the block."""
    command = [sys.executable, "-m", "apps.training.trainer", str(run)]
    with (run / "trainer.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, text=True
        )
    try:
        yield process
        process.wait(PATIENCE)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        if process.poll() is None:
            family = psutil.Process(process.pid).children(recursive=True)
            for each in (process, *family):
                each.kill()
            process.wait()


def trained_on_two(run: Path) -> list[Event]:
    with trainer(run):
        pass
    return events(run)


def wait_until(holds: Callable[[], bool], run: Path, process: subprocess.Popen[str]) -> None:
    patience = time.monotonic() + PATIENCE
    while not holds():
        assert process.poll() is None, (run / "trainer.log").read_text()
        assert time.monotonic() < patience
        time.sleep(0.01)


def second_rank(run: Path, process: subprocess.Popen[str], *, behind: int = 0) -> psutil.Process:
    """Once the run has a checkpoint behind that step."""
    found: list[psutil.Process] = []

    def is_there() -> bool:
        for each in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if "--ranks" in each.cmdline() and each.environ().get("MLX_RANK") == "1":
                    found.append(each)
        return bool(found)

    def saved() -> bool:
        return any(event.kind == "saved" and event.step > behind for event in events(run))

    wait_until(is_there, run, process)
    wait_until(saved, run, process)
    return found[0]


def losses(told: list[Event]) -> list[float]:
    return [event.loss for event in told if event.kind in ("trained", "evaluated")]


def weights_of(run: Path) -> Path:
    return run / "adapter" / "adapters.safetensors"


def test_two_machines_learn_what_one_does_with_the_same_batch(model, tmp_path) -> None:
    """Within the rounding of float32 sums in another order: 1e-5 of each loss and weight."""
    settings = TWICE | {"objective": "dpo", "optimizer": "sgd", "accumulation": 2}
    settings |= {"train": pairs(10), "valid": pairs(5, first=50)}
    two = make_run(tmp_path / "two", model, **settings)
    one = make_run(tmp_path / "one", model, **settings | {"hosts": []})
    expected = train(one)
    told = trained_on_two(two)
    assert told[-1] == expected[-1] == Ended(step=12, reason="finished")
    assert [event.kind for event in told] == [event.kind for event in expected]
    assert losses(told) == pytest.approx(losses(expected), rel=1e-5)
    weights = mx.load(str(weights_of(two)))
    for name, array in mx.load(str(weights_of(one))).items():
        assert mx.allclose(array, weights[name], rtol=1e-5, atol=1e-7), name


def test_a_run_whose_machine_is_lost_says_so_and_ends_the_same_once_resumed(
    model, tmp_path
) -> None:
    settings = TWICE | {"iters": 30, "steps_per_save": 10, "steps_per_eval": 30}
    whole = make_run(tmp_path / "whole", model, **settings)
    assert trained_on_two(whole)[-1] == Ended(step=30, reason="finished")
    run = make_run(tmp_path / "run", model, **settings)
    with trainer(run) as process:
        second_rank(run, process).kill()
    last = events(run)[-1]
    assert isinstance(last, Failed)
    assert last.fault == "rank_lost"
    assert "resume" in last.message.lower()
    assert trained_on_two(run)[-1] == Ended(step=30, reason="finished")
    assert weights_of(run).read_bytes() == weights_of(whole).read_bytes()


def test_a_run_on_two_machines_is_stopped_and_ends_where_one_stands_still(model, tmp_path) -> None:
    settings = {"iters": 1_000_000, "steps_per_eval": 1_000_000, "host_timeout": 30}
    run = make_run(tmp_path / "run", model, **TWICE | settings)
    with trainer(run) as process:
        second_rank(run, process)
        assert process.stdin is not None
        process.stdin.write("stop\n")
        process.stdin.flush()
    last = events(run)[-1]
    assert isinstance(last, Ended)
    assert last.reason == "stopped"
    with trainer(run) as process:
        second_rank(run, process, behind=last.step).send_signal(signal.SIGSTOP)
    lost = events(run)[-1]
    assert isinstance(lost, Failed)
    assert lost.fault == "rank_lost"


def test_more_machines_than_rows_in_a_batch_are_refused(model, tmp_path) -> None:
    run = make_run(tmp_path / "run", model, hosts=["127.0.0.1"] * 4, batch_size=3)
    last = train(run)[-1]
    assert isinstance(last, Failed)
    assert "can't be shared by 4 machines" in last.message


def test_a_host_is_an_address(model, tmp_path) -> None:
    run = make_run(tmp_path / "run", model, hosts=["-oProxyCommand=x"])
    last = train(run)[-1]
    assert isinstance(last, Failed)
    assert last.fault == "bad_config"
