"""The writer's process, from this side: one question at a time, each with its time-out."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.conf import settings

from apps.training.tracking.errors import RunRefused, StoreUnreachable, TrackingError
from apps.training.tracking.store import Store, without_credentials

MODULE = "apps.training.tracking.writer"

ANSWER_SECONDS = 60.0
"""For one command."""

START_SECONDS = 300.0
"""For the first one: importing mlflow and making its tables are part of it, and the process
gives way to all others."""

FILES_SECONDS = 900.0
"""For a command that carries files."""

LEAVE_SECONDS = 5.0

ENVIRONMENT = {
    # It would tell its makers of its use.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    # A server that is away is asked again a minute later.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Of the writer's process."""


class Writer:
    """Asks the process. One that is late is ended, and with it the block that it is for."""

    def __init__(self, process: subprocess.Popen[bytes], *, start: float) -> None:
        """``start``: seconds that the first answer may take."""
        self._process = process
        self._patience = start

    def ask(self, do: str, *, seconds: float | None = None, **values: Any) -> Any:
        """The answer to a command of writer.Commands. Raises TrackingError."""
        line = json.dumps({"do": do, **values})
        answer = json.loads(self._exchange(line, seconds or self._patience))
        self._patience = ANSWER_SECONDS
        if "failed" in answer:
            raise _error(answer)
        return answer["answer"]

    def _exchange(self, line: str, seconds: float) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise StoreUnreachable(self._gone()) from error
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(seconds):
                self._process.kill()
                raise StoreUnreachable(
                    f"MLflow did not answer within {seconds:g} s. It is tried again every minute."
                )
        # A line comes whole or not at all: it is written at once, when its work is done.
        answer = self._process.stdout.readline()
        if not answer.endswith(b"\n"):
            raise StoreUnreachable(self._gone())
        return answer

    def _gone(self) -> str:
        status = self._process.wait()
        return f"The process that tells MLflow ended with status {status}. It is started again."


@contextmanager
def writer(store: Store, *, start: float = START_SECONDS) -> Iterator[Writer]:
    """A process that tells ``store``; it ends with the block. Raises TrackingError."""
    if store.folder is not None:
        try:
            store.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreUnreachable(f"MLflow's folder can't be made: {error}") from error
    with (settings.HUB.logs_dir / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
            [sys.executable, "-m", MODULE, *filter(None, [store.artifacts])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, **ENVIRONMENT, "MLFLOW_TRACKING_URI": store.uri},
        )
    try:
        yield Writer(process, start=start)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(LEAVE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def _error(answer: dict[str, str]) -> TrackingError:
    why = without_credentials(answer["why"]).strip()
    if answer["failed"] == "refused":
        return RunRefused(f"MLflow refused it: {why}")
    return StoreUnreachable(f"MLflow can't be told: {why}")
