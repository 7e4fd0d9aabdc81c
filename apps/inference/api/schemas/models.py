"""The models that requests may name. https://platform.openai.com/docs/api-reference/models"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class ModelObject(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="Seconds since the epoch.")
    owned_by: str
    context_length: int = Field(description="Extension: longest context, in tokens.")
    capabilities: list[Literal["chat", "completions", "tools", "embeddings", "rerank"]] = Field(
        description="Extension: what it is for. `tools`: its own chat template knows them; other "
        "chat models are told of tools in words."
    )
    loaded: bool | None = Field(
        description="Extension: whether it is in memory; null where the engine does not answer."
    )
    alias: str | None = Field(default=None, description="Extension: another name of it.")
    parent: str | None = Field(
        default=None, description="Extension: the model that this is an adapter over."
    )


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelObject]
