"""Processes of a training are killed in the middle of it; it ends as if nothing had been.

``python -m benchmarks training-kills`` does it fifty times.
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.hub_process import HubProcess, running_hub, until
from tests.killed_training import KilledTraining

SHOWN_WITHIN_SECONDS = 15.0


@pytest.fixture(scope="module")
def hub() -> Iterator[HubProcess]:
    """A hub without its starter: the harness gives it a tiny model."""
    with running_hub({"MLXHUB_STARTER": "false"}) as running:
        yield running


def test_a_run_whose_processes_are_killed_ends_as_one_that_was_left_alone(
    hub: HubProcess,
) -> None:
    training = KilledTraining(hub, seed=2)
    outcome = training.run(kills=4)
    assert outcome.problems == []
    assert set(outcome.kills) == {"trainer", "worker", "web"}


def test_a_run_that_is_not_to_go_on_by_itself_is_soon_shown_as_interrupted(
    hub: HubProcess,
) -> None:
    training = KilledTraining(hub, seed=0)
    job = training.order("By hand", self_resuming=False)
    url = f"{hub.url}/api/training/jobs/{job}"
    for step, whom in ((100, "trainer"), (200, "worker")):
        training.to_step(job, step)
        training.kill(job, whom)
        until(lambda: _looked_at(url)["state"] == "interrupted", seconds=SHOWN_WITHIN_SECONDS)
        error = _looked_at(url)["error"]
        assert "died without a word" in error or "ended in the middle" in error
        httpx.post(f"{url}/resume", timeout=60).raise_for_status()
    httpx.post(f"{url}/cancel", timeout=60).raise_for_status()
    until(lambda: _looked_at(url)["state"] == "cancelled")


def _looked_at(url: str) -> dict[str, str]:
    found: dict[str, str] = httpx.get(url, timeout=60).raise_for_status().json()
    return found
