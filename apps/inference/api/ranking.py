"""Documents in the order of their scores, as Cohere's API tells them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from apps.inference.api.schemas.embedding import (
    Document,
    EmbeddingUsage,
    RankedDocument,
    Ranking,
    RerankRequest,
)


def ranking(
    payload: RerankRequest, model: str, scores: Sequence[float], usage: EmbeddingUsage
) -> Ranking:
    """``scores``: of the request's documents, in their order."""
    best = sorted(range(len(scores)), key=lambda index: -scores[index])[: payload.top_n]
    return Ranking(
        id=f"rerank-{uuid.uuid4().hex}",
        model=model,
        results=[
            RankedDocument(
                index=index,
                relevance_score=scores[index],
                document=Document(text=payload.texts[index]) if payload.return_documents else None,
            )
            for index in best
        ],
        usage=usage,
    )
