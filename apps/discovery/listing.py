"""A model as the hub lists it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.discovery.reading import count, moment, table, text, texts
from apps.discovery.weights import weight_figures

REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}", re.ASCII)
"""``owner/name``. Old repositories without an owner are not offered here."""


@dataclass(frozen=True)
class ListedModel:
    """One repository's summary. Empty, 0 or None: the hub did not say."""

    repo_id: str
    downloads: int
    """In the last 30 days."""
    likes: int
    created_at: datetime | None
    updated_at: datetime | None
    task: str
    """The hub's pipeline tag, such as "text-generation"."""
    library: str
    tags: tuple[str, ...]
    license: str
    is_gated: bool
    is_private: bool
    architecture: str
    """config.json's model_type."""
    parameters: int | None
    weight_bytes: int | None
    quantization: str

    @property
    def owner(self) -> str:
        return self.repo_id.partition("/")[0]

    @property
    def name(self) -> str:
        return self.repo_id.partition("/")[2]

    @property
    def is_mlx(self) -> bool:
        """Whether its weights are in MLX's format."""
        return self.library == "mlx" or "mlx" in self.tags

    @property
    def base_models(self) -> tuple[str, ...]:
        """The repositories that it was made from."""
        bases = (tag.rpartition(":")[2] for tag in self.tags if tag.startswith("base_model:"))
        return tuple(dict.fromkeys(base for base in bases if is_repo_id(base)))

    @property
    def quantized_from(self) -> str:
        """The repository that this one holds in fewer bits; empty where it holds its own."""
        prefix = "base_model:quantized:"
        bases = [tag.removeprefix(prefix) for tag in self.tags if tag.startswith(prefix)]
        return next(filter(is_repo_id, bases), "")


def is_repo_id(repo_id: str) -> bool:
    """Whether the text is of the form ``owner/name`` and safe to put into an address."""
    return (
        REPO_ID.fullmatch(repo_id) is not None
        and ".." not in repo_id
        and "--" not in repo_id
        and not repo_id.endswith((".", "-", ".git"))
    )


def listed(item: object) -> ListedModel | None:
    """The summary in one item of a listing, or None where the item names no repository."""
    given = table(item)
    repo_id = text(given.get("id") or given.get("modelId"))
    if not is_repo_id(repo_id):
        return None
    tags = texts(given.get("tags"))
    config = table(given.get("config"))
    gguf = table(given.get("gguf"))
    figures = weight_figures(
        repo_id.partition("/")[2], tags, given.get("safetensors"), gguf, config
    )
    return ListedModel(
        repo_id=repo_id,
        downloads=count(given.get("downloads")) or 0,
        likes=count(given.get("likes")) or 0,
        created_at=moment(given.get("createdAt")),
        updated_at=moment(given.get("lastModified")),
        task=text(given.get("pipeline_tag")),
        library=text(given.get("library_name")),
        tags=tags,
        license=_license(tags, table(given.get("cardData"))),
        is_gated=given.get("gated") not in (None, False),
        is_private=given.get("private") is True,
        architecture=text(config.get("model_type")) or text(gguf.get("architecture")),
        parameters=figures.parameters,
        weight_bytes=figures.nbytes,
        quantization=figures.quantization,
    )


def _license(tags: tuple[str, ...], card: Mapping[str, Any]) -> str:
    """The licence's identifier; the name it goes by where it has none."""
    tagged = next((tag[8:] for tag in tags if tag.startswith("license:")), "")
    stated = tagged or next(iter(texts(card.get("license"))), "")
    if stated in ("", "other"):
        return text(card.get("license_name")) or stated
    return stated
