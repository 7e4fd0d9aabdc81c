"""Vectors of texts and what is made of them: OpenAI's embeddings, Cohere's ranking.

EmbeddingRequest → Embed ⇢ engine ⇢ Vectors → EmbeddingList | Ranking
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from apps.inference.api.bounds import OutOfBounds, check_size
from apps.inference.api.lifetime import require_request
from apps.inference.api.ranking import ranking
from apps.inference.api.schemas.embedding import (
    Embedding,
    EmbeddingList,
    EmbeddingRequest,
    EmbeddingUsage,
    Ranking,
    RerankRequest,
)
from apps.inference.client import AsyncEngineClient, EngineError
from apps.inference.engine.protocol import Embed, Embedded, Vectors
from apps.inference.keys.caller import current_caller
from apps.inference.services import NamedModel
from apps.inference.usage.tally import current_tally

_NO_LIMIT = 2**31
"""Tokens; the engine cuts to what the model takes."""


@dataclass(frozen=True)
class _Embedded:
    vectors: list[str]
    """As the engine tells them, in the order of the inputs."""
    prompt_tokens: int


async def embed(
    engine: AsyncEngineClient, payload: EmbeddingRequest, model: NamedModel, *, client: str
) -> EmbeddingList:
    """Raises EngineError, or OutOfBounds."""
    cut = payload.truncate_prompt_tokens
    found = await _vectors(
        engine,
        Embed(
            model=model.spec,
            inputs=tuple(payload.input),
            input_kind=payload.input_type,
            max_tokens=_NO_LIMIT if cut == -1 else cut,
            dimensions=payload.dimensions,
            client=client,
        ),
        param="input",
    )
    as_numbers = payload.encoding_format != "base64"
    return EmbeddingList(
        data=[
            Embedding(index=index, embedding=_numbers(vector).tolist() if as_numbers else vector)
            for index, vector in enumerate(found.vectors)
        ],
        model=model.name,
        usage=_usage(found),
    )


async def rank(
    engine: AsyncEngineClient, payload: RerankRequest, model: NamedModel, *, client: str
) -> Ranking:
    """Documents by the cosine of their vectors and the query's. Raises EngineError."""
    query = Embed(model=model.spec, inputs=(payload.query,), input_kind="query", client=client)
    documents = Embed(
        model=model.spec,
        inputs=tuple(payload.texts),
        input_kind="document",
        max_tokens=payload.max_tokens_per_doc or _NO_LIMIT,
        client=client,
    )
    asked = await _vectors(engine, query, param="query")
    found = await _vectors(engine, documents, param="documents")
    scores = _cosines(asked.vectors[0], found.vectors)
    return ranking(payload, model.name, scores, _usage(asked, found))


async def _vectors(engine: AsyncEngineClient, request: Embed, *, param: str) -> _Embedded:
    """The call's vectors. Its errors name ``param``."""
    require_request()
    check_size(request.inputs, param=param)
    caller, tally = current_caller(), current_tally()
    tally.named(request.model.name)
    if caller.tenant:
        request = request.model_copy(update={"client": caller.tenant})
    vectors: dict[int, str] = {}
    try:
        async with engine.stream(request) as events:
            async for event in events:
                if isinstance(event, Vectors):
                    vectors |= zip(event.indexes, event.vectors, strict=True)
                elif isinstance(event, Embedded):
                    tally.counted(event.prompt_tokens, model=request.model.name)
                    ordered = [vectors[index] for index in range(len(request.inputs))]
                    return _Embedded(ordered, event.prompt_tokens)
    except EngineError as error:
        if error.code == "context_length_exceeded":
            raise OutOfBounds(error.message, param=param, code=error.code) from error
        raise
    raise EngineError("internal_error", "The engine ended the call without its result.")


def _cosines(query: str, documents: Sequence[str]) -> list[float]:
    one, others = _numbers(query), np.stack([_numbers(each) for each in documents])
    lengths = np.linalg.norm(others, axis=1) * np.linalg.norm(one)
    cosines: list[float] = (others @ one / np.maximum(lengths, 1e-12)).tolist()
    return cosines


def _numbers(vector: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(vector), "<f4")


def _usage(*embedded: _Embedded) -> EmbeddingUsage:
    tokens = sum(each.prompt_tokens for each in embedded)
    return EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens)
