"""Routes under /v1 that tell which models there are."""

from __future__ import annotations

from typing import Literal

from django.http import HttpRequest
from ninja import Router

from apps.inference.api.errors import ErrorResponse
from apps.inference.api.schemas.models import ModelList, ModelObject
from apps.inference.client import EngineError
from apps.inference.services import NamedModel, all_models, find_model, glancing_engine
from apps.models.models import LocalModel

router = Router()

Capability = Literal["chat", "completions", "tools", "embeddings", "rerank"]


@router.get("/models", response=ModelList, summary="List models", tags=["Models"])
def list_models(request: HttpRequest) -> ModelList:
    """The models on this machine and their adapters, under the names that requests call them by."""
    loaded = _loaded_digests()
    return ModelList(data=[_model_object(named, loaded) for named in all_models()])


@router.get(
    "/models/{path:model_id}",
    response={200: ModelObject, 404: ErrorResponse},
    summary="Retrieve a model",
    tags=["Models"],
)
def retrieve_model(request: HttpRequest, model_id: str) -> ModelObject:
    """One model, by its name, alias or hub repository id; `:` and an adapter may follow."""
    return _model_object(find_model(model_id), _loaded_digests())


def _loaded_digests() -> frozenset[str] | None:
    """Of the models in memory; None where the engine does not answer."""
    try:
        return frozenset(model.digest for model in glancing_engine().status().models)
    except EngineError:
        return None


def _model_object(named: NamedModel, loaded: frozenset[str] | None) -> ModelObject:
    model, adapter = named.model, named.adapter
    owner, slash, _ = model.repo_id.partition("/")
    return ModelObject(
        id=named.name,
        created=int((adapter or model).created_at.timestamp()),
        owned_by=owner if slash and adapter is None else "local",
        context_length=model.context_length,
        capabilities=_capabilities(model),
        loaded=None if loaded is None else model.digest in loaded,
        alias=model.alias if adapter is None else None,
        parent=model.slug if adapter else None,
    )


def _capabilities(model: LocalModel) -> list[Capability]:
    if model.embeds:
        return ["embeddings", "rerank"]
    capabilities: list[Capability] = ["completions"]
    if model.kind == LocalModel.Kind.CHAT:
        capabilities.insert(0, "chat")
    if model.knows_tools:
        capabilities.append("tools")
    if model.kind == LocalModel.Kind.CHAT:
        capabilities.append("rerank")
    return capabilities
