"""Anthropic's API: the routes under /v1/messages."""

from __future__ import annotations

from asgiref.sync import sync_to_async
from django.http import HttpRequest, StreamingHttpResponse
from ninja import Router

from apps.inference.api import sse
from apps.inference.api.answer_parts import whole_answer
from apps.inference.api.answering import client_name, streamed
from apps.inference.api.messages.answer import message_of
from apps.inference.api.messages.errors import AnthropicError
from apps.inference.api.messages.message import AssistantMessage, TokenCount
from apps.inference.api.messages.request import MessagesRequest, TokenCountRequest
from apps.inference.api.messages.stream import MessageTeller
from apps.inference.api.messages.translation import messages_call, tokenize_call
from apps.inference.api.telling import told
from apps.inference.engine.protocol import Tokens
from apps.inference.services import async_engine, resolve_model
from apps.inference.usage.tally import current_tally

router = Router()


@router.post(
    "",
    response={
        200: AssistantMessage,
        (400, 401, 403, 404, 413, 429, 500, 504, 529): AnthropicError,
    },
    summary="Create a message",
    tags=["Messages"],
    openapi_extra=streamed('event: message_start\ndata: {"type": "message_start", ...}\n\n'),
)
async def create_message(
    request: HttpRequest, payload: MessagesRequest
) -> AssistantMessage | StreamingHttpResponse:
    """Answers a conversation as Anthropic's API does; with `stream` as server-sent events.

    Closing the connection cancels the answer.
    """
    model = await sync_to_async(resolve_model)(payload.model)
    user = payload.metadata.user_id if payload.metadata else None
    call = messages_call(payload, model, client=client_name(request, user))
    if payload.stream:
        lines = told(async_engine(), (call.request,), MessageTeller(call))
        return await sse.event_stream(lines)
    return message_of(call, await whole_answer(async_engine(), call.request))


@router.post(
    "/count_tokens",
    response={
        200: TokenCount,
        (400, 401, 403, 404, 413, 429, 500, 504, 529): AnthropicError,
    },
    summary="Count a message's tokens",
    tags=["Messages"],
)
async def count_tokens(request: HttpRequest, payload: TokenCountRequest) -> TokenCount:
    """The tokens of a prompt, as its model's tokenizer and chat template make them."""
    model = await sync_to_async(resolve_model)(payload.model)
    current_tally().named(model.model.slug)
    tokens = await async_engine().call(tokenize_call(payload, model), Tokens)
    return TokenCount(input_tokens=len(tokens.tokens))
