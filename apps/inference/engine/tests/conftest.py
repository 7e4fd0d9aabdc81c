"""A tiny model on disk, and engines that serve it."""

from __future__ import annotations

from pathlib import Path

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


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> dict[str, Path]:
    """A model of each cache kind, by its architecture."""
    from apps.inference.engine.tests.tiny import ARCHITECTURES, write_tiny_model

    root = tmp_path_factory.mktemp("kinds")
    return {name: write_tiny_model(root / name, name) for name in ARCHITECTURES}


@pytest.fixture
def spec(folders, architecture) -> ModelSpec:
    """The model of the test's ``architecture``."""
    return ModelSpec(name=architecture, path=str(folders[architecture]), digest=architecture)


@pytest.fixture
def engine(profile, tmp_path):
    """An engine without models; a module may have one of its own."""
    from apps.inference.engine.tests.harness import SteppedEngine

    stepped = SteppedEngine(profile, tmp_path)
    yield stepped
    stepped.engine._cache.close()


@pytest.fixture
def open_cache(tmp_path):
    """Opens prompt caches on one folder; all are closed at the end."""
    from apps.inference.engine.config import PromptCacheConfig
    from apps.inference.engine.prompt_cache.cache import PromptCache

    opened = []

    def make(**options):
        options = {"max_entries": 10, "min_free_disk_bytes": 0, **options}
        cache = PromptCache(PromptCacheConfig(directory=tmp_path / "cache", **options))
        opened.append(cache)
        return cache

    yield make
    for cache in opened:
        cache.close()


@pytest.fixture
def profile():
    return PROFILE
