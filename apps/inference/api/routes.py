"""OpenAI's API: chat completions under /v1."""

from __future__ import annotations

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Router

from apps.inference.api import chat, chat_answer, sse
from apps.inference.api.answering import client_name, streamed, tell_response_cache
from apps.inference.api.chat_stream import ChatTeller
from apps.inference.api.errors import ErrorResponse
from apps.inference.api.schemas.chat_completion import ChatCompletion
from apps.inference.api.schemas.chat_request import ChatCompletionRequest
from apps.inference.api.telling import told
from apps.inference.services import async_engine, resolve_model

router = Router()


@router.post(
    "/chat/completions",
    response={
        200: ChatCompletion,
        (400, 401, 403, 404, 413, 429, 500, 503, 504): ErrorResponse,
    },
    summary="Create a chat completion",
    tags=["Chat"],
    openapi_extra=streamed('data: {"object": "chat.completion.chunk", ...}\n\ndata: [DONE]\n\n'),
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
        teller = ChatTeller(call)
        stream = await sse.event_stream(told(async_engine(), call.requests, teller))
        tell_response_cache(stream, repeated=teller.repeated)
        return stream
    completion, repeated = await chat_answer.complete(async_engine(), call)
    tell_response_cache(response, repeated=repeated)
    return completion
