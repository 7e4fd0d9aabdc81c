"""What a backup says of itself: the archive's last file."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MANIFEST = "manifest.json"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileFacts(_Strict):
    size: int = Field(ge=0, description="Bytes.")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ModelReference(_Strict):
    """A model that the registry knows. Its files are in the archive only where that was asked."""

    slug: str
    repo_id: str = Field(description="On Hugging Face; empty: not from there.")
    path: str
    digest: str
    size_bytes: int


class Manifest(_Strict):
    format: Literal[1] = 1
    made_at: datetime
    version: str = Field(description="Of the hub that made it.")
    home: str = Field(description="Its data folder, which paths in the database begin with.")
    migrations: list[str] = Field(description="`app.name` of those that the database has.")
    settings: dict[str, str] = Field(description="Of the configuration, but no secret.")
    models: list[ModelReference]
    files: dict[str, FileFacts] = Field(description="By their name in the archive.")
