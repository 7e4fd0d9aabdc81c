from __future__ import annotations

from pathlib import Path

import pytest
from gguf import GGMLQuantizationType as Type

from apps.models.runtime.gguf.importer import import_gguf
from apps.models.runtime.tests.tiny import TinyModel, write_gguf


def ignore(doing: str, fraction: float) -> None:
    """Progress that nobody looks at."""


def tiny_folder(place: Path, **fields: object) -> Path:
    """A whole tiny model in float16, in mlx-lm's format."""
    model = TinyModel(**{"matrices": Type.F16, "embedding": Type.F16} | fields)  # type: ignore[arg-type]
    write_gguf(place.with_suffix(".gguf"), model)
    import_gguf(place.with_suffix(".gguf"), place)
    return place


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tiny_folder(tmp_path / "tiny")
