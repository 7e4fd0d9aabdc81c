"""Tells MLflow. A process: one command as a JSON line in, one answer as a JSON line out.

``python -m apps.training.tracking.writer [ARTIFACTS]`` tells the store that MLFLOW_TRACKING_URI
names, which may hold a password: no argument. It ends with its standard input.
Every command can be given twice, but for the values of curves: MLflow keeps what is told
twice, so ``steps`` says what it has. No Django here, and no mlflow anywhere else.

https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from apps.redaction.text import redacted

NICENESS = 10
"""It gives way to the training that it tells of."""

_OUR_FAULT = range(400, 500)
_NOT_THE_RUNS_FAULT = {401, 403, 408, 429}
"""Answers after which other runs would fare the same."""

_ENDED = {"FINISHED", "FAILED", "KILLED"}


class Commands:
    """What can be asked of the writer, by name."""

    def __init__(self, artifacts: str | None) -> None:
        from mlflow.tracking import MlflowClient

        self._client = MlflowClient()
        self._artifacts = artifacts

    def begin(self, experiment: str, key: str, name: str, start: int, tags: dict[str, str]) -> str:
        """The id of the run tagged with ``key``, made where there is none. ``start``: in ms."""
        place = self._experiment(experiment)
        tag = "mlx_hub.run"
        found = self._client.search_runs([place], filter_string=f"tags.`{tag}` = '{key}'")
        if found:
            return str(found[0].info.run_id)
        run = self._client.create_run(
            place, start_time=start, run_name=name, tags={**tags, tag: key}
        )
        return str(run.info.run_id)

    def describe(self, run: str, params: dict[str, str], data: dict[str, str] | None) -> None:
        """Settings, which can't change, and the data set: its name, digest, context, source."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param

        pairs = [Param(key, value) for key, value in params.items()]
        for first in range(0, len(pairs), 100):
            self._client.log_batch(run, params=pairs[first : first + 100])
        if data is not None:
            dataset = Dataset(data["name"], data["digest"], "mlx-hub", data["source"])
            tag = InputTag("mlflow.data.context", "training")
            self._client.log_inputs(run, [DatasetInput(dataset, [tag])])

    def steps(self, run: str, name: str) -> list[int]:
        """The steps of a curve that are known."""
        return [metric.step for metric in self._client.get_metric_history(run, name)]

    def values(self, run: str, points: list[tuple[str, float, int, int]]) -> None:
        """At most 1,000 points, each: name, value, time in ms, step."""
        from mlflow.entities import Metric

        metrics = [Metric(name, value, time, step) for name, value, time, step in points]
        self._client.log_batch(run, metrics=metrics)

    def files(self, run: str, folder: str, place: str) -> None:
        """The files of a folder, under ``place``; those of that name are replaced."""
        for file in sorted(Path(folder).iterdir()):
            if file.is_file():
                self._client.log_artifact(run, str(file), place)

    def text(self, run: str, content: str, place: str) -> None:
        self._client.log_text(run, content, place)

    def status(self, run: str, status: str, tags: dict[str, str], end: int | None) -> None:
        """``end``: in ms, for a run that is over."""
        from mlflow.entities import RunTag

        self._client.log_batch(run, tags=[RunTag(key, value) for key, value in tags.items()])
        if status in _ENDED:
            self._client.set_terminated(run, status, end)
        else:
            self._client.update_run(run, status)

    def _experiment(self, name: str) -> str:
        known = self._client.get_experiment_by_name(name)
        if known is not None:
            return str(known.experiment_id)
        return str(self._client.create_experiment(name, self._artifacts))


class Teller:
    """Answers lines; the store is opened for the first one."""

    def __init__(self, artifacts: str | None) -> None:
        """``artifacts``: where new experiments keep files, as a URI; None: as the store says."""
        self._artifacts = artifacts
        self._commands: Commands | None = None

    def answer(self, line: str) -> str:
        """A line's answer, without its end; what fails is told too."""
        asked = json.loads(line)
        try:
            if self._commands is None:
                self._commands = Commands(self._artifacts)
            command: Callable[..., Any] = getattr(self._commands, asked.pop("do"))
            answer = {"answer": command(**asked)}
        except Exception as error:  # noqa: BLE001 - whatever mlflow and its stores raise is told
            # A store's address may hold a password, and libraries put it into their messages.
            sys.stderr.write(redacted(traceback.format_exc()))
            answer = _failure(error)
        return json.dumps(answer)


def main() -> None:
    """Answer commands until there are no more."""
    os.nice(NICENESS)
    # What libraries print is no answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    teller = Teller(sys.argv[1] if len(sys.argv) > 1 else None)
    for line in sys.stdin:
        answers.write(teller.answer(line) + "\n")
        answers.flush()


def _failure(error: Exception) -> dict[str, str]:
    from mlflow.exceptions import MlflowException

    kind = "unreachable"
    if isinstance(error, MlflowException):
        status = error.get_http_status_code()
        if status in _OUR_FAULT and status not in _NOT_THE_RUNS_FAULT:
            kind = "refused"
    return {"failed": kind, "why": f"{error}"[:1000] or type(error).__name__}


if __name__ == "__main__":
    main()
