"""Processes of a training are killed in the middle of it; it ends as if nothing had been."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from apps.inference.engine.tests.tiny import write_tiny_model
from apps.training.trainer.tests.runs import rows, write_rows
from tests.hub_process import HubProcess, running_hub, until

STEPS = 2400
SETTINGS: dict[str, Any] = {
    "iters": STEPS, "batch_size": 4, "learning_rate": 0.001, "steps_per_report": 20,
    "steps_per_eval": 800, "steps_per_save": 100, "lora": {"rank": 2, "dropout": 0.1},
}  # fmt: skip

SHOWN_WITHIN_SECONDS = 15.0

PROGRAMS = {"trainer": "apps.training.trainer", "worker": "run_huey", "web": "mlxhub_site.web"}
"""What the command line of each process holds."""


@pytest.fixture(scope="module")
def hub() -> Iterator[HubProcess]:
    """A hub whose only model is a tiny one."""
    with running_hub({"MLXHUB_STARTER": "false"}) as running:
        folder = write_tiny_model(running.home / "tiny", scale=1)
        command = (Path(sys.executable).with_name("mlx-hub"), "import", folder, "--name", "tiny")
        subprocess.run(command, env=running.environment, check=True, capture_output=True)
        yield running


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("numbers")
    write_rows(folder / "train.jsonl", rows(40))
    write_rows(folder / "valid.jsonl", rows(8, first=50))
    return folder


def order(hub: HubProcess, data: Path, name: str, **place: Any) -> int:
    body = {"model": "tiny", "data": str(data), "name": name, "settings": SETTINGS, "place": place}
    response = httpx.post(f"{hub.url}/api/training/jobs", json=body, timeout=60)
    assert response.status_code == 202, response.text
    key: int = response.json()["id"]
    return key


def job(hub: HubProcess, key: int) -> dict[str, Any]:
    """As the hub tells it, once its web process is there."""

    def told() -> dict[str, Any] | None:
        # Who asks all the time takes the time from whom it asks after.
        time.sleep(0.1)
        try:
            response = httpx.get(f"{hub.url}/api/training/jobs/{key}", timeout=60)
        except httpx.TransportError:
            return None
        found: dict[str, Any] = response.json()
        return found if response.status_code == 200 else None

    found = until(told)
    assert found is not None
    return found


def kill(hub: HubProcess, name: str) -> None:
    """End a process of the hub as a power failure would."""
    until(lambda: any(_is(process, name) for process in hub.processes()))
    for process in hub.processes():
        if _is(process, name):
            process.kill()


def _is(process: psutil.Process, name: str) -> bool:
    try:
        return PROGRAMS[name] in " ".join(process.cmdline())
    except psutil.Error:
        return False


def past(hub: HubProcess, key: int, step: int) -> None:
    until(lambda: job(hub, key)["step"] >= step, seconds=180)


def done(hub: HubProcess, key: int) -> dict[str, Any]:
    over = ("done", "failed", "cancelled", "interrupted")
    until(lambda: job(hub, key)["state"] in over, seconds=300)
    found = job(hub, key)
    assert found["state"] == "done", found["error"]
    return found


def weights(hub: HubProcess, key: int) -> str:
    file = hub.home / "adapters" / f"training-{key}" / "adapters.safetensors"
    return hashlib.sha256(file.read_bytes()).hexdigest()


def curves(hub: HubProcess, key: int) -> dict[str, Any]:
    url = f"{hub.url}/api/training/jobs/{key}/metrics"
    found: dict[str, Any] = httpx.get(url, params={"points": 2000}, timeout=60).json()["curves"]
    return {name: found[name] for name in ("loss", "validation_loss", "gradient_norm")}


def test_a_run_whose_processes_are_killed_ends_as_one_that_was_left_alone(
    hub: HubProcess, data: Path
) -> None:
    alone = order(hub, data, "Alone")
    done(hub, alone)
    killed = order(hub, data, "Killed")
    for number, name in enumerate(("trainer", "worker", "web", "trainer"), 1):
        past(hub, killed, STEPS * number // 6)
        kill(hub, name)
    done(hub, killed)
    assert weights(hub, killed) == weights(hub, alone)
    assert curves(hub, killed) == curves(hub, alone)


@pytest.mark.parametrize("name", ["trainer", "worker"])
def test_a_run_that_is_not_to_go_on_by_itself_is_shown_as_interrupted(
    hub: HubProcess, data: Path, name: str
) -> None:
    key = order(hub, data, f"No {name}", self_resuming=False)
    past(hub, key, 100)
    kill(hub, name)
    until(lambda: job(hub, key)["state"] == "interrupted", seconds=SHOWN_WITHIN_SECONDS)
    error = job(hub, key)["error"]
    assert "died without a word" in error or "ended in the middle" in error
    httpx.post(f"{hub.url}/api/training/jobs/{key}/resume", timeout=60).raise_for_status()
    past(hub, key, 200)
    httpx.post(f"{hub.url}/api/training/jobs/{key}/cancel", timeout=60).raise_for_status()
    until(lambda: job(hub, key)["state"] == "cancelled")
