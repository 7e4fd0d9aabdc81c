"""Models in memory over REST: which they are, load one, unload one."""

from __future__ import annotations

from datetime import datetime

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from ninja import Router, Status
from pydantic import BaseModel, ConfigDict, Field

from apps.inference import residency
from apps.inference.api.errors import ErrorResponse
from apps.inference.registry.api import model_named
from apps.inference.services import glancing_engine, known_models

router = Router(tags=["Models in memory"])


class LoadedOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    name: str = Field(description="As calls name it.")
    weights_bytes: int
    live_kv_bytes: int = Field(description="Of the answers that are being written.")
    context_length: int
    adapters: tuple[str, ...] = Field(description="Those that are loaded over it.")
    draft: str | None = Field(description="The draft model in use.")
    pinned: bool = Field(description="Whether it stays, used or not.")
    loaded_at: datetime
    last_used_at: datetime
    unloads_at: datetime | None = Field(description="When nobody uses it until then; null: never.")


class LoadedList(BaseModel):
    models: list[LoadedOut]
    loading: str | None = Field(description="The model that is being loaded.")


class LoadOut(BaseModel):
    model: LoadedOut
    seconds: float = Field(description="What loading took; next to nothing where it was loaded.")


@router.get(
    "/loaded",
    response={200: LoadedList, 503: ErrorResponse},
    summary="Which models are in memory",
)
def list_loaded(request: HttpRequest) -> LoadedList:
    """What each holds, and how long it stays."""
    status = glancing_engine().status()
    own = dict(known_models().values_list("digest", "slug"))
    loading = status.loading if status.loading in own.values() else None
    loaded = [LoadedOut.model_validate(each) for each in status.models if each.digest in own]
    return LoadedList(models=loaded, loading=loading)


@router.post(
    "/models/{str:slug}/load",
    response={200: LoadOut, (404, 409, 500, 503): ErrorResponse},
    summary="Load a model",
)
async def load_model(request: HttpRequest, slug: str) -> LoadOut:
    """Answers when it is in memory, at once where it is already. Closing the connection gives up.

    No call needs it: the first one that names a model loads it.
    """
    ready = await residency.load_now(model=await sync_to_async(model_named)(slug))
    return LoadOut(model=LoadedOut.model_validate(ready.model), seconds=ready.seconds)


@router.post(
    "/models/{str:slug}/unload",
    response={204: None, (404, 409, 503): ErrorResponse},
    summary="Unload a model",
)
def unload_model(request: HttpRequest, slug: str) -> Status[None]:
    """Frees its weights and live KV. 409 where it is not loaded, or answers somebody."""
    residency.unload(model=model_named(slug))
    return Status(204, None)
