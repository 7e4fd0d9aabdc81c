"""A dataset as the hub lists it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from apps.discovery.listing import is_repo_id
from apps.discovery.reading import count, moment, table, text, texts

MAX_SHOWN_TAGS = 8
"""Of one kind, such as languages; some datasets name a thousand."""


@dataclass(frozen=True)
class ListedDataset:
    """One repository's summary. Empty, 0 or None: the hub did not say."""

    repo_id: str
    downloads: int
    """In the last 30 days."""
    likes: int
    created_at: datetime | None
    updated_at: datetime | None
    description: str
    tags: tuple[str, ...]
    is_gated: bool
    is_private: bool
    nbytes: int | None
    """Of all files of its main branch."""

    @property
    def owner(self) -> str:
        return self.repo_id.partition("/")[0]

    @property
    def name(self) -> str:
        return self.repo_id.partition("/")[2]

    @property
    def license(self) -> str:
        return next(iter(self.tagged("license")), "")

    @property
    def tasks(self) -> tuple[str, ...]:
        return self.tagged("task_categories")

    @property
    def languages(self) -> tuple[str, ...]:
        return self.tagged("language")

    @property
    def rows(self) -> str:
        """About how many rows it has, such as "10K<n<100K"."""
        return next(iter(self.tagged("size_categories")), "")

    def tagged(self, kind: str) -> tuple[str, ...]:
        """What its tags say of one thing, as in "language:en"."""
        said = (tag.removeprefix(f"{kind}:") for tag in self.tags if tag.startswith(f"{kind}:"))
        return tuple(said)[:MAX_SHOWN_TAGS]


def listed_dataset(item: object) -> ListedDataset | None:
    """The summary in one item of a listing, or None where the item names no repository."""
    given = table(item)
    repo_id = text(given.get("id"))
    if not is_repo_id(repo_id):
        return None
    return ListedDataset(
        repo_id=repo_id,
        downloads=count(given.get("downloads")) or 0,
        likes=count(given.get("likes")) or 0,
        created_at=moment(given.get("createdAt")),
        updated_at=moment(given.get("lastModified")),
        description=" ".join(text(given.get("description")).split()),
        tags=texts(given.get("tags")),
        is_gated=given.get("gated") not in (None, False),
        is_private=given.get("private") is True,
        nbytes=count(given.get("mainSize")),
    )
