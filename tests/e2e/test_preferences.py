"""The starter model learns what is preferred, and its adapter answers over the API."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from apps.training.trainer.tests.runs import write_rows
from tests.hub_process import PATIENCE, STARTER, HubProcess

PAIRS = [
    {
        "prompt": f"What do you say at {time}?",
        "chosen": f"Good {time}, sailor.",
        "rejected": f"I am sorry, I have nothing to say at {time}.",
    }
    for time in ("dawn", "dusk")
]

SETTINGS: dict[str, Any] = {
    "objective": "dpo", "iters": 6, "batch_size": 1, "num_layers": 2, "learning_rate": 2e-3,
    "max_seq_length": 64, "steps_per_report": 2,
}  # fmt: skip

TRAINED_WITHIN_SECONDS = 300.0
"""On a busy machine reading MLX and its libraries alone is a minute."""


@pytest.fixture
def job(hub: HubProcess, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A training by preference that is through; it and its adapter are deleted behind the test."""
    write_rows(tmp_path / "train.jsonl", PAIRS)
    settings = tmp_path / "lora.yaml"
    settings.write_text(json.dumps(SETTINGS))
    command = (
        Path(sys.executable).with_name("mlx-hub"), "train", STARTER, "--data", tmp_path,
        "--name", "Sailor", "--config", settings, "--json",
    )  # fmt: skip
    done = subprocess.run(
        command, env=hub.environment, capture_output=True, text=True, timeout=TRAINED_WITHIN_SECONDS
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    yield found
    url = f"{hub.url}/api/training/jobs/{found['id']}"
    httpx.delete(url, timeout=60).raise_for_status()
    adapter = f"{hub.url}/api/models/{STARTER}/adapters/sailor"
    httpx.delete(adapter, timeout=60).raise_for_status()


def answer(hub: HubProcess, model: str) -> str:
    body = {
        "model": model, "messages": [{"role": "user", "content": PAIRS[0]["prompt"]}],
        "max_tokens": 8, "temperature": 0,
    }  # fmt: skip
    found = httpx.post(f"{hub.url}/v1/chat/completions", json=body, timeout=120).raise_for_status()
    text: str = found.json()["choices"][0]["message"]["content"]
    return text


def test_an_adapter_of_preferences_answers_as_it_was_taught(
    hub: HubProcess, job: dict[str, Any]
) -> None:
    assert (job["state"], job["made"]) == ("done", f"{STARTER}:sailor"), job["error"]
    url = f"{hub.url}/api/training/jobs/{job['id']}/metrics"
    curves = httpx.get(url, timeout=PATIENCE).json()["curves"]
    assert curves["reward_margin"]["mean"][-1] > 0
    assert answer(hub, job["made"]) != answer(hub, STARTER)
