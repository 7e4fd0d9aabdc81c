"""A real web and a real worker process that are killed while data is uploaded, checked and edited."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from tests.hub_process import free_port, until
from tests.prepared_folder import prepare_folder

PATIENCE = 120.0
PIECE_BYTES = 300_000
SPLITS = ("train", "valid", "test")
COOKIE, TOKEN = "mlxhub_csrf", "a" * 32
"""Of the CSRF check: a cookie and a header that agree, as a browser's do."""

CHECK = {"kind": "near"}
EDITS: tuple[dict[str, Any], ...] = (
    {"kind": "mask", "personal": ["EMAIL"]},
    {"kind": "split", "valid": 0.1},
    {"kind": "drop", "problems": ["DUPLICATE"]},
    {"kind": "edit", "changed": {"0": {"prompt": "New?", "completion": "Yes."}}},
    {"kind": "sample", "seed": 3},
)


@dataclass
class Outcome:
    kills: int = 0
    moments: list[str] = field(default_factory=list)
    """What each kill came in the midst of."""
    resumed: int = 0
    """Jobs that a dead worker had begun and another one brought to their end."""
    problems: list[str] = field(default_factory=list)
    """What was wrong after some kill; empty: nothing was."""


class KilledData:
    """Uploads, checks and edits one dataset after another, and kills what is at it."""

    def __init__(self, home: Path, rows: int, seed: int) -> None:
        self._home = home
        self._rows = rows
        self._random = random.Random(seed)
        self._log = home / "log"
        self._environment = os.environ | {
            "MLXHUB_HOME": str(home),
            "MLXHUB_STARTER": "0",
            "DJANGO_SETTINGS_MODULE": "mlxhub_site.settings",
        }
        self._port = free_port()
        self._web: subprocess.Popen[bytes] | None = None
        self._worker: subprocess.Popen[bytes] | None = None
        self._whole: set[str] = set()
        """Digests whose files were found right."""
        self._versions: set[tuple[Any, ...]] = set()
        self.outcome = Outcome()

    def run(self, kills: int) -> Outcome:
        """Kill web or worker so many times; after each look what is there, and again at its end."""
        prepare_folder(self._home, self._environment)
        self._start_web()
        self._start_worker()
        try:
            while self.outcome.kills < kills:
                self._one_round(self.outcome.kills)
        finally:
            for process in (self._worker, self._web):
                assert process is not None
                process.kill()
                process.wait()
        return self.outcome

    def _one_round(self, number: int) -> None:
        what = ("upload", "import", "check", "edit", "order")[number % 5]
        if what == "upload":
            self._kill_web_in_upload()
        elif what == "import":
            slug = self._upload()
            self._kill_worker_in(slug, "import")
        elif what == "order":
            self._kill_web_in_order(self._latest(), self._random.choice(EDITS))
        else:
            slug, order = self._latest(), CHECK if what == "check" else self._random.choice(EDITS)
            assert self._ask("POST", f"/api/datasets/{slug}/changes", order) is not None
            self._kill_worker_in(slug, str(order["kind"]))

    def _kill_web_in_upload(self) -> None:
        sent = threading.Thread(target=self._upload)
        sent.start()
        time.sleep(self._random.random() * 0.6)
        self._kill_web("upload")
        sent.join(PATIENCE)
        self._settle()

    def _kill_web_in_order(self, slug: str, order: dict[str, Any]) -> None:
        before = self._rows_of("select count(*) from datasets_datasetjob")
        url = f"/api/datasets/{slug}/changes"
        sent = threading.Thread(target=lambda: self._ask("POST", url, order))
        sent.start()
        time.sleep(self._random.random() * 0.05)
        self._kill_web("order")
        sent.join(PATIENCE)
        self._settle()
        if self._rows_of("select count(*) from datasets_datasetjob") == before:
            assert self._insist("POST", url, order) is not None
            self._settle()

    def _kill_web(self, moment: str) -> None:
        assert self._web is not None
        self._web.kill()
        self._web.wait()
        self._note(f"web, {moment}")
        self._start_web()

    def _kill_worker_in(self, slug: str, kind: str) -> None:
        """At a random moment of the newest job, or of what is written behind it."""
        query = "select state from datasets_datasetjob order by id desc limit 1"
        until(lambda: self._rows_of(query)[0][0] != "queued", seconds=PATIENCE)
        time.sleep(self._random.random() * self._rows / 10_000)
        assert self._worker is not None
        begun = self._rows_of(query)[0][0] == "running"
        self._worker.kill()
        self._worker.wait()
        self._note(f"worker, {kind}{'' if begun else ', at its end'}")
        self._start_worker()
        self._settle()
        self.outcome.resumed += begun and self._rows_of(query)[0][0] == "done"

    def _note(self, moment: str) -> None:
        """What is there while nobody has tidied up yet."""
        self.outcome.kills += 1
        self.outcome.moments.append(moment)
        self.outcome.problems += [f"{moment}: {each}" for each in self._wrong()]

    def _settle(self) -> None:
        """Let what was begun come to its end; then nothing may be left over."""
        query = "select count(*) from datasets_datasetjob where state in ('queued', 'running')"
        until(lambda: self._alive() and self._rows_of(query)[0][0] == 0, seconds=PATIENCE)
        moment = self.outcome.moments[-1] if self.outcome.moments else "at first"
        wrong = [*self._wrong(), *self._left_over(), *self._silent()]
        self.outcome.problems += [f"{moment}, settled: {each}" for each in wrong]

    def _wrong(self) -> Iterator[str]:
        """Whether each dataset stands for a version that is there, and every file has its hash."""
        heads = self._rows_of(
            "select d.slug from datasets_dataset d left join datasets_datasetversion v "
            "on v.id = d.head_id and v.dataset_id = d.id where v.id is null and exists "
            "(select 1 from datasets_datasetversion o where o.dataset_id = d.id)"
        )
        for (slug,) in heads:
            yield f"{slug} stands for no version"
        versions = set(self._rows_of(
            "select id, digest, kind, train_rows + valid_rows + test_rows "
            "from datasets_datasetversion"
        ))  # fmt: skip
        if gone := self._versions - versions:
            yield f"versions are gone: {sorted(gone)}"
        self._versions = versions
        for _, digest, kind, rows in versions:
            if digest not in self._whole:
                yield from self._damage(digest, kind, rows)

    def _damage(self, digest: str, kind: str, rows: int) -> Iterator[str]:
        folder = self._home / "datasets" / digest
        parts = "".join(f"{name} {_digest_of(folder / f'{name}.jsonl')}\n" for name in SPLITS)
        parts += "unmapped\n" if kind == "unmapped" else ""
        if hashlib.sha256(parts.encode()).hexdigest() != digest:
            yield f"the files of {digest} have other hashes"
        elif pl.scan_parquet(folder / "index.parquet").select(pl.len()).collect().item() != rows:
            yield f"the index of {digest} has other rows"
        else:
            self._whole.add(digest)

    def _left_over(self) -> Iterator[str]:
        known = {digest for _, digest, _, _ in self._versions} | {".gate"}
        if left := {path.name for path in (self._home / "datasets").iterdir()} - known:
            yield f"left over in the datasets folder: {sorted(left)}"
        uploads = self._home / "uploads"
        if uploads.exists() and (left := {path.name for path in uploads.iterdir()}):
            yield f"left over of uploads: {sorted(left)}"

    def _silent(self) -> Iterator[str]:
        """Jobs that neither got to their end nor say why."""
        for row in self._rows_of(
            "select id, kind, state, error, result_id from datasets_datasetjob"
        ):
            _, kind, state, error, result = row
            made = result is not None or kind == "near"
            if not (state == "done" and made) and not (state == "failed" and error):
                yield f"job {row}"

    def _upload(self) -> str:
        """Send a file as the browser does, again and again where nobody answers; its slug."""
        body = self._file()
        name = f"rows-{self._random.randrange(10**9)}.jsonl"
        form = f"name={name}&size={len(body)}"
        url = self._insist("POST", "/data/import/uploads/", form)["url"]
        answer: dict[str, Any] = {"received": 0}
        while "done" not in answer:
            offset = answer["received"]
            piece = body[offset : offset + PIECE_BYTES]
            answer = self._insist("POST", f"{url}?offset={offset}", piece)
        return str(answer["done"]).strip("/").rpartition("/")[2]

    def _file(self) -> bytes:
        chance = self._random
        rows = []
        for number in range(self._rows):
            text = " ".join(f"word{chance.randrange(500)}" for _ in range(20))
            text = text if number % 9 else f"Write to a{number % 50}@example.org."
            rows.append(json.dumps({"prompt": f"Question {number // 2}?", "completion": text}))
        return ("\n".join(rows) + "\n").encode()

    def _latest(self) -> str:
        query = "select slug from datasets_dataset order by id desc limit 1"
        if not self._rows_of(query):
            self._upload()
            self._settle()
        return str(self._rows_of(query)[0][0])

    def _insist(self, method: str, url: str, body: Any) -> dict[str, Any]:
        return until(lambda: self._ask(method, url, body), seconds=PATIENCE)

    def _ask(self, method: str, url: str, body: Any) -> dict[str, Any] | None:
        """The answer; None where nobody answers. A form is a text, a piece bytes, JSON the rest."""
        kind = {str: "application/x-www-form-urlencoded", bytes: "application/octet-stream"}
        headers = {
            "content-type": kind.get(type(body), "application/json"),
            "cookie": f"{COOKIE}={TOKEN}",
            "x-csrftoken": TOKEN,
        }
        data = body if isinstance(body, str | bytes) else json.dumps(body)
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)) as connection:
            try:
                connection.request(method, url, data, headers)
                response = connection.getresponse()
                answer = response.read()
            except (OSError, http.client.HTTPException):
                return None
        if response.status >= 400:
            raise AssertionError(f"{method} {url}: {response.status} {answer[:500]!r}")
        found: dict[str, Any] = json.loads(answer)
        return found

    def _alive(self) -> bool:
        for process in (self._web, self._worker):
            assert process is not None
            if process.poll() is not None:
                raise AssertionError("a process ended by itself:\n" + self._log.read_text()[-2000:])
        return True

    def _rows_of(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._home / "hub.sqlite3", timeout=30)) as database:
            return database.execute(query).fetchall()

    def _start_web(self) -> None:
        address = f"--host=127.0.0.1 --port={self._port} --lifespan=off --no-access-log"
        self._web = self._start("uvicorn", "mlxhub_site.asgi:application", *address.split())
        until(lambda: self._alive_web() and self._answers(), seconds=PATIENCE)

    def _start_worker(self) -> None:
        self._worker = self._start("django", "run_huey")

    def _alive_web(self) -> bool:
        assert self._web is not None
        if self._web.poll() is not None:
            raise AssertionError("the web ended by itself:\n" + self._log.read_text()[-2000:])
        return True

    def _answers(self) -> bool:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)) as connection:
            try:
                connection.request("GET", "/api/datasets")
                return connection.getresponse().status == 200
            except (OSError, http.client.HTTPException):
                return False

    def _start(self, *module: str) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *module], env=self._environment, stdout=log, stderr=log
            )


def _digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes() if path.exists() else b"").hexdigest()
