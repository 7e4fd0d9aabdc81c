"""Two ranks on this machine, started by mlx.launch as on two machines."""

from __future__ import annotations

import json
import shutil
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

from apps.training.trainer.__main__ import CONFIG_FILE
from apps.training.trainer.events import Ended, Event, Failed
from apps.training.trainer.tests.runs import events, make_run, pairs, train

PATIENCE = 240.0
"""Seconds: these tests may share two cores with many others."""

ENDLESS = 1_000_000

TWICE: dict[str, Any] = {
    "objective": "dpo",
    "train": pairs(10),
    "valid": pairs(5, first=50),
    "optimizer": "sgd",
    "accumulation": 2,
    "hosts": ["127.0.0.1", "127.0.0.1"],
    "host_timeout": 240,
    "batch_size": 4,
    "steps_per_save": 12,
    "steps_per_eval": ENDLESS,
    "keep_checkpoints": 1000,
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


def lost(run: Path) -> Failed:
    last = events(run)[-1]
    assert isinstance(last, Failed)
    return last


def change(run: Path, **settings: Any) -> None:
    config = json.loads((run / CONFIG_FILE).read_text())
    (run / CONFIG_FILE).write_text(json.dumps(config | settings))


def losses(told: list[Event]) -> dict[tuple[str, int], float]:
    return {
        (event.kind, event.step): event.loss
        for event in told
        if event.kind in ("trained", "evaluated")
    }


def weights_of(run: Path) -> Path:
    return run / "adapter" / "adapters.safetensors"


@pytest.fixture(scope="module")
def bereft(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of which one machine was lost."""
    run = make_run(tmp_path_factory.mktemp("two") / "run", model, iters=ENDLESS, **TWICE)
    with trainer(run) as process:
        second_rank(run, process).kill()
    return run


@pytest.fixture(scope="module")
def stopped(bereft: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The same run, resumed and then stopped; and at which step."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    shutil.copytree(bereft, run)
    behind = max(event.step for event in events(run) if event.kind == "saved")
    with trainer(run) as process:
        second_rank(run, process, behind=behind)
        assert process.stdin is not None
        process.stdin.write("stop\n")
        process.stdin.flush()
    last = events(run)[-1]
    assert isinstance(last, Ended)
    assert last.reason == "stopped"
    return run, last.step


@pytest.fixture(scope="module")
def whole(model: Path, stopped: tuple[Path, int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of as many steps that nobody interrupted."""
    _, steps = stopped
    run = make_run(tmp_path_factory.mktemp("whole") / "run", model, iters=steps, **TWICE)
    assert trained_on_two(run)[-1] == Ended(step=steps, reason="finished")
    return run


def test_a_run_whose_machine_is_lost_says_so(bereft: Path) -> None:
    last = lost(bereft)
    assert last.fault == "rank_lost"
    assert "resume" in last.message.lower()


def test_a_run_that_goes_on_after_that_and_is_stopped_has_learnt_the_same(
    stopped: tuple[Path, int], whole: Path
) -> None:
    run, _ = stopped
    assert weights_of(run).read_bytes() == weights_of(whole).read_bytes()


def test_two_machines_learn_what_one_does_with_the_same_batch(
    model: Path, whole: Path, tmp_path: Path
) -> None:
    """Within the rounding of float32 sums in another order: 1e-5 of each loss and weight."""
    one = make_run(tmp_path / "one", model, **TWICE | {"iters": 12, "hosts": []})
    expected = losses(train(one))
    expected.pop(("evaluated", 12))  # its last step, and not that of the others
    assert len(expected) == 5
    told = losses(events(whole))
    assert {place: told[place] for place in expected} == pytest.approx(expected, rel=1e-5)
    weights = mx.load(str(whole / "checkpoints" / "0000012" / "weights.safetensors"))
    for name, array in mx.load(str(weights_of(one))).items():
        assert mx.allclose(array, weights[name], rtol=1e-5, atol=1e-7), name


def test_a_run_whose_machine_stands_still_says_so(stopped: tuple[Path, int]) -> None:
    run, step = stopped
    change(run, host_timeout=20)
    with trainer(run) as process:
        second_rank(run, process, behind=step).send_signal(signal.SIGSTOP)
    assert lost(run).fault == "rank_lost"


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
