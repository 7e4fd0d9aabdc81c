"""A tiny model on disk, and engines that serve it."""

from __future__ import annotations

import pytest

from apps.inference.engine.protocol import ModelSpec
from apps.models.runtime import accelerator

# Before anything here imports MLX.
PROFILE = accelerator.prepare()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> ModelSpec:
    from apps.inference.engine.tests.tiny import write_tiny_model

    folder = write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")
    return ModelSpec(name="tiny", path=str(folder), digest="digest-of-tiny")


@pytest.fixture(scope="session")
def other_tiny(tmp_path_factory) -> ModelSpec:
    """Same architecture and tokenizer, other weights."""
    from apps.inference.engine.tests.tiny import write_tiny_model

    folder = write_tiny_model(tmp_path_factory.mktemp("models") / "other", seed=1)
    return ModelSpec(name="other", path=str(folder), digest="digest-of-other")


@pytest.fixture
def profile():
    return PROFILE
