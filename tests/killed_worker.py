"""A real worker process that is killed again and again while it downloads from a loopback hub."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from apps.discovery.tests.hub_server import HubServer
from tests.hub_process import until
from tests.prepared_folder import prepare_folder

REPO = "acme/Tiny-Llama"
BYTES_PER_SECOND = 150_000.0
KILLS_A_DOWNLOAD = 10
PATIENCE = 120.0


@dataclass
class Outcome:
    kills: int = 0
    at_bytes: list[int] = field(default_factory=list)
    """How much of the download lay on the disk when each kill came."""
    downloads: int = 0
    resumed: int = 0
    """Answers of the hub that began in mid-file."""
    problems: list[str] = field(default_factory=list)
    """What was wrong at the end; empty: every hash is right and nothing is left over."""


class KilledWorker:
    """Orders downloads by the command line, and kills the worker at random bytes of them."""

    def __init__(self, home: Path, server: HubServer, files: dict[str, bytes], seed: int) -> None:
        self._home = home
        self._models = home / "models"
        self._log = home / "worker.log"
        self._server = server
        self._random = random.Random(seed)
        self._files = files | {"notes.txt": self._random.randbytes(300_000)}
        self._total = sum(map(len, self._files.values()))
        self._environment = os.environ | {
            "MLXHUB_HOME": str(home),
            "MLXHUB_STARTER": "0",
            "HF_ENDPOINT": server.endpoint,
            "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            "DJANGO_SETTINGS_MODULE": "mlxhub_site.settings",
        }
        self.outcome = Outcome()

    def run(self, kills: int) -> Outcome:
        """Kill the worker so many times; then let it end what it was at, and look what is left."""
        self._server.add(REPO, self._files)
        self._server.bytes_per_second = BYTES_PER_SECOND
        prepare_folder(self._home, self._environment)
        while self.outcome.kills < kills:
            self._one_download(min(KILLS_A_DOWNLOAD, kills - self.outcome.kills))
        self.outcome.resumed = sum(1 for _, start in self._server.served if start)
        self.outcome.problems = list(self._problems())
        return self.outcome

    def _one_download(self, kills: int) -> None:
        self.outcome.downloads += 1
        slug = f"copy-{self.outcome.downloads}"
        self._python("-m", "django", "pull", REPO, "--name", slug, "--detach")
        # Past the last byte lies what follows the transfer: checking and registering.
        targets = sorted(self._random.randrange(int(self._total * 1.1)) for _ in range(kills))
        for target in targets:
            with self._worker() as worker:
                self._wait(worker, lambda at=target: self._reached(slug, at))
                if target > self._total:
                    time.sleep(self._random.random() * 0.05)
                worker.kill()
                self.outcome.kills += 1
                self.outcome.at_bytes.append(self._here(slug))
        with self._worker() as worker:
            self._wait(worker, lambda: self._state(slug) == "done")
            worker.send_signal(signal.SIGINT)

    def _wait(self, worker: subprocess.Popen[bytes], condition: Callable[[], bool]) -> None:
        until(lambda: worker.poll() is not None or condition(), seconds=PATIENCE)
        if worker.poll() is not None:
            raise AssertionError("the worker ended by itself:\n" + self._log.read_text()[-2000:])

    def _reached(self, slug: str, target: int) -> bool:
        if self._state(slug) in ("done", "failed"):
            return True
        return self._here(slug) >= min(target, self._total)

    def _here(self, slug: str) -> int:
        """Bytes of the download on the disk, wherever they lie at the moment."""
        for folder in (self._models / f".{slug}.partial", self._models / slug):
            try:
                return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            except FileNotFoundError:
                continue  # it was renamed meanwhile
        return 0

    def _state(self, slug: str) -> str:
        row = self._rows("select state from downloads_download where slug = ?", slug)
        return str(row[0][0])

    def _problems(self) -> Iterator[str]:
        slugs = [f"copy-{number + 1}" for number in range(self.outcome.downloads)]
        rows = self._rows("select slug, state, error from downloads_download order by id")
        if rows != [(slug, "done", "") for slug in slugs]:
            yield f"the downloads' rows are {rows}"
        models = self._rows("select slug, path from models_localmodel order by id")
        if models != [(slug, str(self._models / slug)) for slug in slugs]:
            yield f"the models' rows are {models}"
        left = {path.name for path in self._models.iterdir()}
        if extra := left - set(slugs) - {f".{slug}.lock" for slug in slugs}:
            yield f"left over in the models folder: {sorted(extra)}"
        for slug in slugs:
            for name, content in self._files.items():
                if _digest((self._models / slug / name).read_bytes()) != _digest(content):
                    yield f"{slug}/{name} has another content"
            if {path.name for path in (self._models / slug).iterdir()} != set(self._files):
                yield f"{slug} holds something else than its files"

    def _rows(self, query: str, *values: str) -> list[tuple[str, ...]]:
        with sqlite3.connect(self._home / "hub.sqlite3", timeout=20) as database:
            return database.execute(query, values).fetchall()

    def _python(self, *arguments: str) -> None:
        command = [sys.executable, *arguments]
        subprocess.run(
            command, env=self._environment, check=True, timeout=PATIENCE, capture_output=True
        )

    @contextmanager
    def _worker(self) -> Iterator[subprocess.Popen[bytes]]:
        log = self._log.open("ab")
        command = [sys.executable, "-m", "django", "run_huey"]
        with (
            log,
            subprocess.Popen(command, env=self._environment, stdout=log, stderr=log) as process,
        ):
            try:
                yield process
                process.wait(PATIENCE)
            finally:
                process.kill()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
