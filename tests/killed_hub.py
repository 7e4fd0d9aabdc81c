"""A real hub under mixed load, whose processes are killed every few seconds."""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx2
import psutil

from mlxhub_site.soak.kinds import Failed, Refused
from tests.hub_process import HubProcess, until
from tests.kept_load import PATIENCE, KeptLoad
from tests.killed_training import KilledTraining
from tests.killed_verdict import KERNELS, Ledger, left_over, rows_of, unkept, wrong_rows
from tests.prepared_folder import prepare_folder

PROGRAMS = {
    "web": "mlxhub_site.web",
    "engine": "apps.inference.engine",
    "worker": "run_huey",
    "trainer": "apps.training.trainer",
}
"""What the command line of each process has."""

SUPERVISOR_EVERY = 12
"""One kill of so many ends the supervisor."""

PAUSE = (2.0, 5.0)
"""Seconds between two kills."""

READY_SECONDS = 10.0
"""How soon after the last kill the hub has to be ready again."""


@dataclass
class Outcome:
    kills: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    """Visits by how they ended: done, refused, told of a failure, or cut off."""
    kept: Counter[str] = field(default_factory=Counter)
    """Writes that were acknowledged, by kind."""
    ready_after: dict[str, float] = field(default_factory=dict)
    """Seconds from a kill to a hub that is ready, by who was killed last."""
    problems: list[str] = field(default_factory=list)
    """What was lost, doubled, left over, or left without an answer; empty: nothing."""


@contextmanager
def killable_hub() -> Iterator[HubProcess]:
    """A hub with its starter model; its temporary files are in its own folder too."""
    with tempfile.TemporaryDirectory(prefix="mlxhub-", ignore_cleanup_errors=True) as folder:
        temporary = Path(folder) / "tmp"
        temporary.mkdir()
        # MLX keeps the kernels that it compiled for good. They are the machine's.
        kernels = Path(tempfile.gettempdir()) / KERNELS
        kernels.mkdir(exist_ok=True)
        (temporary / KERNELS).symlink_to(kernels)
        prepare_folder(Path(folder), {})
        hub = HubProcess(Path(folder), {"TMPDIR": str(temporary)})
        hub.start()
        try:
            yield hub
        finally:
            hub.stop()


class KilledHub:
    """Load, kills, and the verdict."""

    def __init__(self, hub: HubProcess, seed: int) -> None:
        """``hub``: as ``killable_hub`` makes it."""
        self._hub = hub
        self._random = random.Random(seed)
        self._training = KilledTraining(hub, seed)
        self._ledger = Ledger()
        self._load = KeptLoad(hub, self._ledger)
        self.outcome = Outcome()

    def run(self, seconds: float) -> Outcome:
        """Kill for so long; then let the hub come to rest, stop it, and look what there is."""
        self._training.prepare()
        with self._load.client() as http:
            whole = self._load.order(http, "Whole")
            until(lambda: self._load.state(whole) == "done", seconds=3 * PATIENCE)
            with self._load.running():
                self._kill_for(seconds)
                self._measure_readiness()
            until(partial(self._is_at_rest, http), seconds=2 * PATIENCE)
        status = self._hub.stop()
        self.outcome.problems += [f"the hub ended with status {status}"] if status else []
        self._judge(whole)
        return self.outcome

    def _is_at_rest(self, http: httpx2.Client) -> bool:
        """Whether no answer and no job is under way."""
        with suppress(Refused, Failed, httpx2.TransportError):
            self._load.resume_interrupted(http)
        home = self._hub.home
        return not rows_of(
            home, "select 1 from playground_message where state = 'running'"
        ) and not rows_of(
            home,
            "select 1 from training_trainingjob where state in ('queued', 'running', 'interrupted')",
        )

    def _judge(self, whole: int) -> None:
        home, outcome = self._hub.home, self.outcome
        outcome.requests = self._load.endings
        outcome.kept = self._ledger.counts
        outcome.problems += self._load.problems
        for found in (unkept(home, self._ledger), self._untrained(whole), wrong_rows(home)):
            outcome.problems += found
        outcome.problems += left_over(home)

    def _untrained(self, whole: int) -> Iterator[str]:
        """Trainings that differ from the one that nobody interrupted, or don't say why they ended."""
        rows = rows_of(
            self._hub.home, "select id, state, error from training_trainingjob where id != ?", whole
        )
        for key, state, error in rows:
            if state == "done":
                yield from self._training.differences(whole, key)
            elif not error:
                yield f"the training {key} is {state} and does not say why"

    def _kill_for(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(self._random.uniform(*PAUSE))
            if self._random.randrange(SUPERVISOR_EVERY) == 0:
                self._restart()
                self.outcome.kills["supervisor"] += 1
            elif process := self._process(whom := self._random.choice(list(PROGRAMS))):
                process.kill()
                self.outcome.kills[whom] += 1

    def _measure_readiness(self) -> None:
        """Each of the processes once more, and how long the hub needs to be ready again."""
        self._wait_until_ready()
        for whom in ("web", "engine", "worker"):
            process = until(partial(self._process, whom), seconds=PATIENCE)
            assert process is not None
            begun = time.monotonic()
            process.kill()
            until(partial(self._was_replaced, whom, process), seconds=PATIENCE)
            self._wait_until_ready()
            self.outcome.ready_after[whom] = time.monotonic() - begun
            self.outcome.kills[whom] += 1
        self._measure_restart()

    def _measure_restart(self) -> None:
        """Of the whole hub. Its worker, which starts behind its first page, is not waited for."""
        web = self._process("web")
        assert web is not None
        begun = time.monotonic()
        self._hub.kill()
        starting = threading.Thread(target=self._hub.start)
        starting.start()
        with self._load.client() as http:
            until(lambda: self._listens() != web.pid and self._says_ready(http), seconds=PATIENCE)
        self.outcome.ready_after["supervisor"] = time.monotonic() - begun
        self.outcome.kills["supervisor"] += 1
        starting.join()

    def _restart(self) -> None:
        """The supervisor dies, and whoever looks after it starts the hub again."""
        self._hub.kill()
        self._hub.start()

    def _listens(self) -> int:
        """The web process that took the socket over last."""
        return int((self._hub.home / "run" / "web.pid").read_text())

    def _was_replaced(self, whom: str, process: psutil.Process) -> bool:
        new = self._process(whom)
        return new is not None and new != process

    def _wait_until_ready(self) -> None:
        """The supervisor found each process ready, and the hub says that it would answer."""
        with self._load.client() as http:
            until(lambda: self._all_ready() and self._says_ready(http), seconds=PATIENCE)

    def _all_ready(self) -> bool:
        ready = {}
        for line in list(self._hub.output):
            words = line.split()
            if len(words) > 1 and words[0] in PROGRAMS:
                ready[words[0]] = words[1] == "ready"
        return all(ready.values())

    def _says_ready(self, http: httpx2.Client) -> bool:
        try:
            return http.get("/healthz/ready").status_code == 200
        except httpx2.TransportError:
            return False

    def _process(self, whom: str) -> psutil.Process | None:
        for process in self._hub.processes():
            try:
                if PROGRAMS[whom] in process.cmdline():
                    return process
            except psutil.Error:
                continue  # it ended meanwhile
        return None
