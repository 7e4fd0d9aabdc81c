"""A download as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from apps.discovery.downloads.models import Download
from apps.discovery.downloads.services import Ordered
from apps.jobs.rest import StateName


class FileOut(BaseModel):
    name: str
    size: int = Field(description="Bytes.")
    checksum: str = Field(description="SHA-256 of the content, or Git's SHA-1 of a small file.")


class DownloadOut(BaseModel):
    id: int
    repo_type: Literal["model", "dataset"]
    repo_id: str
    revision: str = Field(description="What was asked for; empty: the newest.")
    commit: str
    name: str = Field(description="What it is to be called here.")
    state: StateName
    asked: Literal["", "pause", "cancel"] = Field(
        description="What a running one was asked and has not done yet."
    )
    doing: str
    bytes_total: int
    bytes_done: int
    bytes_per_second: float
    seconds_left: float | None = Field(description="Null: not known.")
    files: list[FileOut]
    model: str | None = Field(description="The model that came of it; null: none yet, or deleted.")
    dataset: str | None = Field(
        description="The dataset that its rows are imported into; null: none yet, or deleted."
    )
    error: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, download: Download) -> DownloadOut:
        same = {name: getattr(download, name) for name in _SAME}
        return cls.model_validate(
            same
            | {
                "name": download.slug,
                "asked": download.wish,
                "doing": download.doing_now,
                "bytes_per_second": download.rate_now,
                "model": download.model.slug if download.model else None,
                "dataset": download.dataset.slug if download.dataset else None,
            }
        )


_SAME = (
    "id",
    "repo_type",
    "repo_id",
    "revision",
    "commit",
    "state",
    "bytes_total",
    "bytes_done",
    "seconds_left",
    "files",
    "error",
    "created_at",
    "started_at",
    "finished_at",
)


class DownloadList(BaseModel):
    downloads: list[DownloadOut] = Field(description="The newest first.")
    total: int = Field(description="How many there are, whatever was asked for.")


class DownloadRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    repo_id: str = Field(min_length=1, max_length=200, description="OWNER/NAME.")
    revision: str = Field(
        default="", max_length=200, description="A branch, tag or commit; empty: the newest."
    )
    name: str = Field(
        default="", max_length=120, description="What to call the model here; empty: as there."
    )


class OrderOut(BaseModel):
    """What became of an order: the model that is here already, or its download."""

    here: str | None = Field(description="The model that is here already; null: it is not.")
    download: DownloadOut | None
    joined: bool = Field(description="Whether the same revision was on its way already.")

    @classmethod
    def of(cls, ordered: Ordered) -> OrderOut:
        return cls(
            here=ordered.model.slug if ordered.model else None,
            download=DownloadOut.of(ordered.download) if ordered.download else None,
            joined=ordered.joined,
        )
