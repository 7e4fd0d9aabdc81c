"""Models for the registry whose folders nobody opens.

``tiny`` is a fixture for everybody (loaded by the top-level conftest).
"""

from __future__ import annotations

from typing import Any

import pytest

from apps.models.models import LocalModel


def make_model(slug: str, **fields: Any) -> LocalModel:
    """A model in the registry; ``fields`` replace what it has by default."""
    values: dict[str, Any] = {
        "name": slug.title(),
        "path": f"/models/{slug}",
        "source": LocalModel.Source.FOLDER,
        "digest": f"digest-{slug}",
        "architecture": "llama",
        "parameters": 1_000_000,
        "quantization": "4-bit",
        "size_bytes": 1_000_000,
        "context_length": 2048,
    }
    return LocalModel.objects.create(slug=slug, **(values | fields))


@pytest.fixture
def tiny(db: None) -> LocalModel:
    """The model that the hub got first."""
    return make_model("tiny")
