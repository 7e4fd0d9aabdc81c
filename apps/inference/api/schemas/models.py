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
    parent: str | None = Field(
        default=None, description="Extension: the model that this is an adapter over."
    )


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelObject]
