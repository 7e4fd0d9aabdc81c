"""Discovery over REST, under /api/discovery."""

from __future__ import annotations

from typing import Annotated

from django.http import HttpRequest
from ninja import Path, Query, Router

from apps.discovery.finding import find_models
from apps.discovery.model_page import model_facts
from apps.discovery.presentation import ModelView
from apps.discovery.reference import require_revision
from apps.discovery.schemas import ModelOut, SearchParams, SearchResults
from apps.inference.api.errors import ErrorResponse
from apps.models.fit import CHAT_CONTEXT

router = Router(tags=["Discovery"])

Owner = Annotated[str, Path(max_length=96)]
Name = Annotated[str, Path(max_length=96)]
Anew = Annotated[bool, Query(description="Ask the hub though an answer is kept.")]


@router.get(
    "/discovery/search",
    response={200: SearchResults, (400, 403, 503): ErrorResponse},
    summary="Search Hugging Face",
)
def search(
    request: HttpRequest, params: Annotated[SearchParams, Query()], anew: Anew = False
) -> SearchResults:
    """About 30 models at once, the next ones with `cursor`.

    Parameters, size and quantisation are told by the models' summaries and sifted here:
    a page may then hold fewer models, even none, and still have a next one.
    """
    return SearchResults.of(find_models(params.wanted, params.cursor, anew=anew))


@router.get(
    "/discovery/models/{owner}/{name}",
    response={200: ModelOut, (400, 403, 404, 503): ErrorResponse},
    summary="One model on Hugging Face",
)
def get_model(
    request: HttpRequest,
    owner: Owner,
    name: Name,
    revision: Annotated[str, Query(max_length=200, description="Empty: the newest.")] = "",
    context: Annotated[
        int, Query(ge=1, le=10_000_000, description="Tokens of the chat that should fit.")
    ] = CHAT_CONTEXT,
    anew: Anew = False,
) -> ModelOut:
    """What it is, what a download fetches, and whether it fits this machine."""
    require_revision(revision)
    kept = model_facts(f"{owner}/{name}", revision, anew=anew)
    return ModelOut.of(ModelView.of(kept, {"context": str(context), "revision": revision}))
