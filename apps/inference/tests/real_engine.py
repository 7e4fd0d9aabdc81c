"""The whole API over a real engine with very small models: fixtures to import.

Their weights are random and their tokens are bytes. ``tiny`` holds 512 tokens; ``roomy`` has
room for the words that offer tools to it.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from apps.inference.client import EngineClient, EngineUnavailable
from apps.inference.launch import engine_command
from tests.hub_process import until
from tests.registry import make_model

CONTEXT = 512
ROOMY_CONTEXT = 4096


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A data folder with the models; its path is short because a socket's has to be."""
    from apps.models.runtime import accelerator

    accelerator.prepare()  # before anything here imports MLX
    from apps.inference.engine.tests.tiny import write_tiny_model

    with tempfile.TemporaryDirectory(prefix="mlxhub-") as folder:
        write_tiny_model(Path(folder) / "tiny")
        write_tiny_model(Path(folder) / "roomy", max_position_embeddings=ROOMY_CONTEXT)
        yield Path(folder)


@pytest.fixture(scope="module")
def real_engine(home: Path) -> Iterator[EngineClient]:
    """One engine process for all tests of a module."""
    hub = django_settings.HUB
    django_settings.HUB = hub.model_copy(update={"home": home, "log_level": "warning"})
    command, client = engine_command(), EngineClient(django_settings.HUB.engine_socket)
    django_settings.HUB = hub
    process = subprocess.Popen(command)
    try:
        until(lambda: _is_up(client))
        yield client
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def real_hub(real_engine: EngineClient, home: Path, settings: Any, db: None) -> EngineClient:
    """This test's hub has the models, and asks that engine."""
    settings.HUB = settings.HUB.model_copy(update={"home": home})
    for name, context in (("tiny", CONTEXT), ("roomy", ROOMY_CONTEXT)):
        make_model(name, path=str(home / name), digest=name, context_length=context)
    return real_engine


def _is_up(client: EngineClient) -> bool:
    try:
        return bool(client.status())
    except EngineUnavailable:
        return False
