"""A real hub that trains while its trainer, worker and web process are killed again and again."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from apps.inference.engine.tests.tiny import write_tiny_model
from apps.training.trainer.tests.runs import rows, write_rows
from tests.hub_process import HubProcess, until

KILLS_A_JOB = 10
STEPS = 1500
PATIENCE = 240.0
PROCESSES = {
    "trainer": "apps.training.trainer",
    "worker": "run_huey",
    "web": "mlxhub_site.web",
}
"""Who is killed, and what its command line has."""
SETTINGS: dict[str, Any] = {
    "iters": STEPS,
    "batch_size": 3,
    "num_layers": -1,
    "learning_rate": 0.003,
    "steps_per_report": 5,
    "steps_per_eval": 100,
    "steps_per_save": 25,
    "val_batches": 2,
    "prompts": ["Number 3?"],
    "prompt_tokens": 4,
    "lora": {"rank": 2, "scale": 4.0, "dropout": 0.1},
}
_ALIKE = ("loss", "validation_loss", "learning_rate", "gradient_norm")
"""Curves that are the same in every run; the others tell times and memory."""


@dataclass
class Outcome:
    kills: Counter[str] = field(default_factory=Counter)
    jobs: int = 0
    problems: list[str] = field(default_factory=list)
    """What differs from the job that nobody interrupted; empty: nothing."""


class KilledTraining:
    """Orders the same job again and again, and kills processes at random steps of it."""

    def __init__(self, hub: HubProcess, seed: int) -> None:
        """``hub``: running, without its starter model."""
        self._hub = hub
        self._random = random.Random(seed)
        self._data = hub.home / "numbers"
        self.outcome = Outcome()

    def run(self, kills: int) -> Outcome:
        """One job in peace; then others, until so many kills were made."""
        self.prepare()
        whole = self.order("Whole")
        self.to_step(whole, STEPS)
        while (made := self.outcome.kills.total()) < kills:
            self.outcome.jobs += 1
            job = self.order(f"Killed {self.outcome.jobs}")
            self._kill_during(job, min(KILLS_A_JOB, kills - made))
            self.outcome.problems += self.differences(whole, job)
        return self.outcome

    def prepare(self) -> None:
        """Give the hub a tiny model, and write what it is trained on."""
        model = write_tiny_model(self._hub.home / "tiny", scale=1)
        command = (Path(sys.executable).with_name("mlx-hub"), "import", model, "--name", "tiny")
        subprocess.run(command, env=self._hub.environment, check=True, capture_output=True)
        self._data.mkdir()
        write_rows(self._data / "train.jsonl", rows(40))
        write_rows(self._data / "valid.jsonl", rows(8, first=50))

    def order(self, name: str, **place: Any) -> int:
        """Its number. ``place``: of the order."""
        order = {"model": "tiny", "data": str(self._data), "name": name, "settings": SETTINGS}
        order |= {"place": place}
        answer = until(lambda: self._post("jobs", order), seconds=PATIENCE)
        return int(answer.raise_for_status().json()["id"])

    def _kill_during(self, job: int, kills: int) -> None:
        for step in sorted(self._random.randrange(STEPS) for _ in range(kills)):
            self.to_step(job, step)
            whom = self.kill(job, self._random.choice(list(PROCESSES)))
            self.outcome.kills[whom] += 1
        self.to_step(job, STEPS)

    def kill(self, job: int, whom: str) -> str:
        """Who was killed: the worker in place of a trainer that has ended with its job."""
        found = until(lambda: self._process(whom) or self._over(job), seconds=PATIENCE)
        if not isinstance(found, psutil.Process):
            whom, found = "worker", until(lambda: self._process("worker"), seconds=PATIENCE)
        assert found is not None
        found.kill()
        return whom

    def _process(self, whom: str) -> psutil.Process | None:
        for process in self._hub.processes():
            try:
                if PROCESSES[whom] in process.cmdline():
                    return process
            except psutil.Error:
                continue  # it ended meanwhile
        return None

    def to_step(self, job: int, step: int) -> None:
        """Wait until the job is there or done; resume it where its trainer was killed."""

        def there() -> bool:
            state, at, error = self._rows(
                "select state, step, error from training_trainingjob where id = ?", job
            )[0]
            if state == "failed" and "died without a word" not in error:
                raise AssertionError(error)
            if state in ("failed", "interrupted"):
                self._post(f"jobs/{job}/resume")
            return state == "done" or (state == "running" and at >= step and step < STEPS)

        until(there, seconds=PATIENCE)

    def _over(self, job: int) -> bool:
        state = self._rows("select state from training_trainingjob where id = ?", job)[0][0]
        return state in ("done", "failed")

    def differences(self, whole: int, job: int) -> Iterator[str]:
        """In what a job's curves, samples and weights are not those of ``whole``."""
        curve = "select step, value from training_metric where job_id = ? and name = ? order by 1"
        for name in _ALIKE:
            if self._rows(curve, job, name) != self._rows(curve, whole, name):
                yield f"job {job}: another {name}"
        counts = "select name, count(*) from training_metric where job_id = ? group by 1 order by 1"
        if self._rows(counts, job) != self._rows(counts, whole):
            yield f"job {job}: {self._rows(counts, job)} metrics"
        samples = "select prompt, step, text from training_sample where job_id = ? order by 1, 2"
        if self._rows(samples, job) != self._rows(samples, whole):
            yield f"job {job}: other samples"
        if self._weights(job) != self._weights(whole):
            yield f"job {job}: other weights"
        left = {path.name for path in (self._hub.home / "runs" / str(job)).rglob(".*")}
        if left:
            yield f"job {job}: left over: {sorted(left)}"

    def _weights(self, job: int) -> bytes:
        folder = self._hub.home / "adapters" / f"training-{job}"
        return (folder / "adapters.safetensors").read_bytes()

    def _post(self, path: str, body: dict[str, Any] | None = None) -> httpx.Response | None:
        """None where the web process is away."""
        try:
            url = f"{self._hub.url}/api/training/{path}"
            return httpx.post(url, json=body, timeout=30, trust_env=False)
        except httpx.TransportError:
            return None

    def _rows(self, query: str, *values: str | int) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self._hub.home / "hub.sqlite3", timeout=20) as database:
            return database.execute(query, values).fetchall()
