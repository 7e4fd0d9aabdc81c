"""OpenAI's API: chat completions under /v1."""

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
from apps.inference.services import async_engine, resolve_model

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
    call = chat.chat_call(payload, model, client=client_name(request, payload.user))
    if payload.stream:
        stream = chat_answer.ChatStream(call)
        streamed = await sse.event_stream(stream.lines(async_engine()))
        tell_response_cache(streamed, repeated=stream.repeated)
        return streamed
    completion, repeated = await chat_answer.complete(async_engine(), call)
    tell_response_cache(response, repeated=repeated)
    return completion


def tell_response_cache(response: HttpResponseBase, *, repeated: bool) -> None:
    """Say in a header where the answer came from, while there is a response cache."""
    if settings.HUB.response_cache_mb:
        response[RESPONSE_CACHE_HEADER] = "hit" if repeated else "miss"


def client_name(request: HttpRequest, user: str | None) -> str:
    """Who is asking, for fair queueing."""
    return f"api:{user or request.META.get('REMOTE_ADDR', '')}"
