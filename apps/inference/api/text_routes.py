"""Routes under /v1 that work on texts without a conversation: completions, tokens, vectors."""

from __future__ import annotations

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Router

from apps.inference.api import completion_answer, completions, embeddings, likelihood, sse
from apps.inference.api.answering import client_name, streamed, tell_response_cache
from apps.inference.api.chat import engine_message
from apps.inference.api.completion_stream import CompletionTeller
from apps.inference.api.errors import ErrorResponse
from apps.inference.api.schemas.completion import Completion
from apps.inference.api.schemas.completion_request import CompletionRequest
from apps.inference.api.schemas.embedding import (
    EmbeddingList,
    EmbeddingRequest,
    Ranking,
    RerankRequest,
)
from apps.inference.api.schemas.tokens import (
    Detokenized,
    DetokenizeRequest,
    Tokenized,
    TokenizeRequest,
)
from apps.inference.api.telling import told
from apps.inference.engine.protocol import Detokenize, Text, Tokenize, Tokens
from apps.inference.services import async_engine, embedding_model, find_model, resolve_model
from apps.inference.usage.tally import current_tally

router = Router()

_ERRORS = (400, 401, 403, 404, 413, 429, 500, 503, 504)


@router.post(
    "/completions",
    response={200: Completion, _ERRORS: ErrorResponse},
    summary="Create a text completion",
    tags=["Completions"],
    openapi_extra=streamed('data: {"object": "text_completion", ...}\n\ndata: [DONE]\n\n'),
)
async def create_completion(
    request: HttpRequest, response: HttpResponse, payload: CompletionRequest
) -> Completion | StreamingHttpResponse:
    """Goes on with a text, without a chat template; with `stream` as server-sent events.

    Closing the connection cancels the answer.
    """
    model = await sync_to_async(resolve_model)(payload.model)
    client = client_name(request, payload.user)
    call = completions.completion_call(payload, model, client=client)
    if payload.stream:
        teller = CompletionTeller(call)
        stream = await sse.event_stream(told(async_engine(), call.requests, teller))
        tell_response_cache(stream, repeated=teller.repeated)
        return stream
    completion, repeated = await completion_answer.complete(async_engine(), call)
    tell_response_cache(response, repeated=repeated)
    return completion


@router.post(
    "/embeddings",
    response={200: EmbeddingList, _ERRORS: ErrorResponse},
    summary="Create embeddings",
    tags=["Embeddings"],
)
async def create_embeddings(request: HttpRequest, payload: EmbeddingRequest) -> EmbeddingList:
    """A vector for each text, by an embedding model."""
    model = await sync_to_async(embedding_model)(payload.model)
    client = client_name(request, payload.user)
    return await embeddings.embed(async_engine(), payload, model, client=client)


@router.post(
    "/rerank",
    response={200: Ranking, _ERRORS: ErrorResponse},
    summary="Rank documents",
    tags=["Embeddings"],
)
async def rerank(request: HttpRequest, payload: RerankRequest) -> Ranking:
    """Documents by how well they answer a query: how near their meaning is to it, by an
    embedding model, or how likely a chat model says that they do."""
    model = await sync_to_async(find_model)(payload.model)
    client = client_name(request, payload.user)
    rank = embeddings.rank if model.model.embeds else likelihood.rank_by_likelihood
    return await rank(async_engine(), payload, model, client=client)


@router.post(
    "/tokenize",
    response={200: Tokenized, _ERRORS: ErrorResponse},
    summary="Tokens of a text or a conversation",
    tags=["Tokens"],
)
async def tokenize(request: HttpRequest, payload: TokenizeRequest) -> Tokenized:
    """What a model reads. Its weights are not loaded for that."""
    model = await sync_to_async(find_model)(payload.model)
    current_tally().named(model.model.slug)
    asked = Tokenize(
        model=model.spec,
        text=payload.prompt,
        messages=tuple(engine_message(each) for each in payload.messages or ()),
        tools=tuple(tool.as_tool for tool in payload.tools or ()),
        template_options=payload.chat_template_kwargs or {},
        add_special_tokens=payload.add_special_tokens,
    )
    found = await async_engine().call(asked, Tokens)
    return Tokenized(
        count=len(found.tokens),
        max_model_len=model.model.context_length,
        tokens=list(found.tokens),
        token_strs=list(found.strings) if payload.return_token_strs else None,
    )


@router.post(
    "/detokenize",
    response={200: Detokenized, _ERRORS: ErrorResponse},
    summary="The text of tokens",
    tags=["Tokens"],
)
async def detokenize(request: HttpRequest, payload: DetokenizeRequest) -> Detokenized:
    """Special tokens are spelled out."""
    model = await sync_to_async(find_model)(payload.model)
    current_tally().named(model.model.slug)
    asked = Detokenize(model=model.spec, tokens=tuple(payload.tokens))
    return Detokenized(prompt=(await async_engine().call(asked, Text)).text)
