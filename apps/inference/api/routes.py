"""OpenAI's API: the routes under /v1."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from ninja import Router

from apps.inference.api import chat, chat_answer, sse
from apps.inference.api.errors import ErrorResponse
from apps.inference.api.schemas.chat_completion import ChatCompletion
from apps.inference.api.schemas.chat_request import ChatCompletionRequest
from apps.inference.api.schemas.models import ModelList, ModelObject
from apps.inference.services import NamedModel, all_models, async_engine, resolve_model

router = Router()

RESPONSE_CACHE_HEADER = "X-MLXHub-Response-Cache"
"""``hit`` or ``miss``; not sent where the response cache is off."""

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
        (400, 404, 413, 429, 500, 503, 504): ErrorResponse,
    },
    summary="Create a chat completion",
    tags=["Chat"],
    openapi_extra=_STREAMED,
)
async def create_chat_completion(
    request: HttpRequest, response: HttpResponse, payload: ChatCompletionRequest
) -> ChatCompletion | StreamingHttpResponse:
    """Answers a conversation; with `stream` as server-sent events.

    Closing the connection cancels the answer.
    """
    model = await sync_to_async(resolve_model)(payload.model)
    call = chat.chat_call(payload, model, client=_client_name(request, payload))
    if payload.stream:
        stream = chat_answer.ChatStream(call)
        streamed = await sse.event_stream(stream.lines(async_engine()))
        _tell_response_cache(streamed, repeated=stream.repeated)
        return streamed
    completion, repeated = await chat_answer.complete(async_engine(), call)
    _tell_response_cache(response, repeated=repeated)
    return completion


def _tell_response_cache(response: HttpResponseBase, *, repeated: bool) -> None:
    if settings.HUB.response_cache_mb:
        response[RESPONSE_CACHE_HEADER] = "hit" if repeated else "miss"


def _client_name(request: HttpRequest, payload: ChatCompletionRequest) -> str:
    return f"api:{payload.user or request.META.get('REMOTE_ADDR', '')}"


@router.get("/models", response=ModelList, summary="List models", tags=["Models"])
def list_models(request: HttpRequest) -> ModelList:
    """The models on this machine and their adapters, under the names that requests call them by."""
    return ModelList(data=[_model_object(named) for named in all_models()])


@router.get(
    "/models/{path:model_id}",
    response={200: ModelObject, 404: ErrorResponse},
    summary="Retrieve a model",
    tags=["Models"],
)
def retrieve_model(request: HttpRequest, model_id: str) -> ModelObject:
    """One model, by its name or its hub repository id; `:` and an adapter's name may follow."""
    return _model_object(resolve_model(model_id))


def _model_object(named: NamedModel) -> ModelObject:
    model, adapter = named.model, named.adapter
    owner, slash, _ = model.repo_id.partition("/")
    return ModelObject(
        id=named.name,
        created=int((adapter or model).created_at.timestamp()),
        owned_by=owner if slash and adapter is None else "local",
        context_length=model.context_length,
        parent=model.slug if adapter else None,
    )
