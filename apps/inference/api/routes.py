"""OpenAI's API: the routes under /v1."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, StreamingHttpResponse
from ninja import Router

from apps.inference.api import chat, sse
from apps.inference.api.errors import ErrorResponse
from apps.inference.api.schemas import (
    ChatCompletion,
    ChatCompletionRequest,
    ModelList,
    ModelObject,
)
from apps.inference.services import async_engine, resolve_model
from apps.models.models import LocalModel

router = Router()

_STREAMED: dict[str, Any] = {
    "responses": {
        200: {
            "content": {
                "text/event-stream": {
                    "schema": {"type": "string"},
                    "example": 'data: {"object": "chat.completion.chunk", ...}\n\ndata: [DONE]\n\n',
                }
            }
        }
    }
}


@router.post(
    "/chat/completions",
    response={
        200: ChatCompletion,
        (400, 404, 413, 429, 500, 503): ErrorResponse,
    },
    summary="Create a chat completion",
    tags=["Chat"],
    openapi_extra=_STREAMED,
)
async def create_chat_completion(
    request: HttpRequest, payload: ChatCompletionRequest
) -> ChatCompletion | StreamingHttpResponse:
    """Answers a conversation; with `stream` as server-sent events.

    Closing the connection cancels the answer.
    """
    model = await sync_to_async(resolve_model)(payload.model)
    call = chat.chat_call(payload, model, client=_client_name(request, payload))
    if payload.stream:
        return await sse.event_stream(chat.stream(async_engine(), call))
    return await chat.complete(async_engine(), call)


def _client_name(request: HttpRequest, payload: ChatCompletionRequest) -> str:
    return f"api:{payload.user or request.META.get('REMOTE_ADDR', '')}"


@router.get("/models", response=ModelList, summary="List models", tags=["Models"])
def list_models(request: HttpRequest) -> ModelList:
    """The models on this machine, each under the name that requests call it by."""
    return ModelList(data=[_model_object(model) for model in LocalModel.objects.all()])


@router.get(
    "/models/{path:model_id}",
    response={200: ModelObject, 404: ErrorResponse},
    summary="Retrieve a model",
    tags=["Models"],
)
def retrieve_model(request: HttpRequest, model_id: str) -> ModelObject:
    """One model, by its name or its hub repository id."""
    return _model_object(resolve_model(model_id))


def _model_object(model: LocalModel) -> ModelObject:
    owner, slash, _ = model.repo_id.partition("/")
    return ModelObject(
        id=model.slug,
        created=int(model.created_at.timestamp()),
        owned_by=owner if slash else "local",
        context_length=model.context_length,
    )
