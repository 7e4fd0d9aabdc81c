"""Which files of a model or an adapter are sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from apps.discovery.hub import Outgoing
from apps.discovery.publishing.errors import NotPublishable
from apps.models.models import Adapter, LocalModel

_ADAPTER = ("adapter_config.json", "adapters.safetensors")

_MODEL = frozenset({".safetensors", ".json", ".jinja", ".txt", ".model"})
"""Endings of what mlx-lm loads. Code is not among them."""

_MADE_HERE = (LocalModel.Source.FUSED, LocalModel.Source.TRAINED, LocalModel.Source.CONVERTED)


def require_publishable(model: LocalModel, adapter: Adapter | None) -> None:
    """Raises NotPublishable where it is somebody else's work as it came."""
    if adapter is None and model.source not in _MADE_HERE:
        raise NotPublishable(
            f"{model.name} came from elsewhere as it is ({model.get_source_display()}). Publish "
            "an adapter over it, or a model that was trained, fused or converted here."
        )


def files_of(model: LocalModel, adapter: Adapter | None) -> list[Outgoing]:
    """The files without the card, the large ones last. Raises NotPublishable."""
    folder = Path(adapter.path if adapter else model.path)
    names = _ADAPTER if adapter else tuple(_names(folder))
    missing = [name for name in names if not (folder / name).is_file()]
    if missing or not names:
        raise NotPublishable(f"{', '.join(missing) or 'The weights'} can't be found in {folder}.")
    files = [Outgoing(name, folder / name) for name in names]
    return sorted(files, key=lambda file: file.size)


def _names(folder: Path) -> Iterator[str]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix in _MODEL and path.is_file() and not path.name.startswith("."):
            yield path.name
