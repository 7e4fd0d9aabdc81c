"""The trainer's process: begun on a run's folder, asked to end, ended where it does not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from apps.training.run_lock import mark

MODULE = "apps.training.trainer"

SAVING_SECONDS = 120.0
"""A trainer that was asked to stop may finish its step and save; then it is ended."""


@contextmanager
def trainer_at(run: Path, lock: IO[str]) -> Iterator[subprocess.Popen[str]]:
    """The trainer at work on a run's folder, which holds the lock with it. It ends with the block."""
    with (run / "trainer.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
            [sys.executable, "-m", MODULE, str(run)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            text=True,
            pass_fds=(lock.fileno(),),
        )
    mark(lock, process.pid)
    try:
        yield process
    finally:
        assert process.stdin is not None
        _close(process.stdin)
        if not ended(process, SAVING_SECONDS):
            process.kill()
            process.wait()


def _close(stream: IO[str]) -> None:
    with suppress(BrokenPipeError):
        stream.close()


def ask(trainer: subprocess.Popen[str], wish: str) -> None:
    """``stop`` or ``cancel``; one that is gone does not hear it."""
    assert trainer.stdin is not None
    with suppress(BrokenPipeError):
        trainer.stdin.write(f"{wish}\n")
        trainer.stdin.flush()


def ended(trainer: subprocess.Popen[str], seconds: float) -> bool:
    """Wait so long at most; whether it is over."""
    try:
        trainer.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True
