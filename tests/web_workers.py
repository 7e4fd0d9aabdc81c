"""Several web processes over one data folder and one scripted engine: no model, no worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.hub_process import STOP_SECONDS, free_port, until
from tests.prepared_folder import prepare_folder

_SET_UP = """
import json, sys
import django
django.setup()
from apps.inference.keys.services import Limits, create_key
from tests.registry import make_model
make_model("tiny")
keys = json.loads(sys.argv[1])
made = {name: create_key(name=name, limits=Limits(**limits))[1] for name, limits in keys.items()}
print(json.dumps(made))
"""

_RECORDS = """
import json
import django
django.setup()
from apps.inference.usage.models import RequestRecord
rows = RequestRecord.objects.values_list("key__name", "status", "prompt_tokens", "completion_tokens")
print(json.dumps(list(rows)))
"""


class WebWorkers:
    """``urls``: one for each process. ``keys``: by name, as their holders have them."""

    def __init__(self, home: Path, keys: dict[str, dict[str, int]]) -> None:
        self._home = home
        prepare_folder(home, {"MLXHUB_STARTER": "0"})
        self.keys: dict[str, str] = self._run(_SET_UP, json.dumps(keys))
        self.urls: list[str] = []
        self.processes: list[subprocess.Popen[bytes]] = []

    def records(self) -> list[list[Any]]:
        """Key's name, status, prompt and completion tokens of each request so far."""
        rows: list[list[Any]] = self._run(_RECORDS)
        return rows

    @contextmanager
    def started(self) -> Iterator[WebWorkers]:
        """One more process, for as long as the block lasts."""
        port = free_port()
        command = [sys.executable, "-m", "uvicorn", "mlxhub_site.asgi:application"]
        process = subprocess.Popen(
            [*command, f"--port={port}", "--lifespan=off", "--no-access-log", "--log-level=error"],
            env=self._environment,
        )
        self.urls.append(f"http://127.0.0.1:{port}")
        self.processes.append(process)
        try:
            until(lambda: _answers(f"{self.urls[-1]}/v1/models"))
            yield self
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)

    @property
    def _environment(self) -> dict[str, str]:
        settings = {"MLXHUB_HOME": str(self._home), "MLXHUB_DEBUG": "0"}
        return os.environ | settings | {"DJANGO_SETTINGS_MODULE": "mlxhub_site.settings"}

    def _run(self, script: str, *arguments: str) -> Any:
        command = [sys.executable, "-c", script, *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)


@contextmanager
def web_workers(home: Path, *, count: int, keys: dict[str, dict[str, int]]) -> Iterator[WebWorkers]:
    """``count`` web processes on the folder of a scripted engine."""
    workers = WebWorkers(home, keys)
    with ExitStack() as running:
        for _ in range(count):
            running.enter_context(workers.started())
        yield workers


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False
