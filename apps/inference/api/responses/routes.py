"""OpenAI's Responses API: the routes under /v1/responses."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from asgiref.sync import sync_to_async
from django.http import HttpRequest, StreamingHttpResponse
from ninja import Router
from pydantic import Field

from apps.inference.api import sse
from apps.inference.api.answer_parts import whole_answer
from apps.inference.api.answering import client_name, streamed
from apps.inference.api.errors import ErrorResponse
from apps.inference.api.responses import store
from apps.inference.api.responses.answer import ended
from apps.inference.api.responses.request import ResponseRequest
from apps.inference.api.responses.response import DeletedResponse, ItemList, ResponseObject
from apps.inference.api.responses.stream import ResponseTeller, keep
from apps.inference.api.responses.translation import ResponseCall, response_call
from apps.inference.api.telling import told
from apps.inference.services import async_engine, resolve_model

router = Router()


@router.post(
    "",
    response={
        200: ResponseObject,
        (400, 401, 403, 404, 413, 429, 500, 503, 504): ErrorResponse,
    },
    summary="Create a response",
    tags=["Responses"],
    openapi_extra=streamed('event: response.created\ndata: {"type": "response.created", ...}\n\n'),
)
async def create_response(
    request: HttpRequest, payload: ResponseRequest
) -> ResponseObject | StreamingHttpResponse:
    """Answers an input, which may go on from an earlier response; with `stream` as events.

    Closing the connection cancels the answer, and then nothing is kept of it.
    """
    call = await sync_to_async(_call)(payload, client=client_name(request, payload.user))
    if payload.stream:
        lines = told(async_engine(), (call.request,), ResponseTeller(call))
        return await sse.event_stream(lines)
    response = ended(call, await whole_answer(async_engine(), call.request))
    if payload.keeps:
        await keep(call, response)
    return response


def _call(payload: ResponseRequest, *, client: str) -> ResponseCall:
    model = resolve_model(payload.model)
    conversation = store.conversation(payload.previous_response_id, payload.input)
    return response_call(payload, model, conversation, client=client)


@router.get(
    "/{response_id}",
    response={200: ResponseObject, (401, 403, 404): ErrorResponse},
    summary="Retrieve a response",
    tags=["Responses"],
)
def retrieve_response(request: HttpRequest, response_id: str) -> dict[str, Any]:
    """A response that was kept."""
    body: dict[str, Any] = store.find(response_id).body
    return body


@router.delete(
    "/{response_id}",
    response={200: DeletedResponse, (401, 403, 404): ErrorResponse},
    summary="Delete a response",
    tags=["Responses"],
)
def delete_response(request: HttpRequest, response_id: str) -> DeletedResponse:
    """Forgets a response. Nothing can go on from it, nor from those that came after it."""
    store.forget(response_id=response_id)
    return DeletedResponse(id=response_id)


@router.get(
    "/{response_id}/input_items",
    response={200: ItemList, (400, 401, 403, 404): ErrorResponse},
    summary="List a response's input items",
    tags=["Responses"],
)
def list_input_items(
    request: HttpRequest,
    response_id: str,
    limit: Annotated[int, Field(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
) -> ItemList:
    """The items that came with the request, the last one first; earlier turns are not repeated."""
    items = store.find(response_id).input
    if order == "desc":
        items = items[::-1]
    places = [place for place, item in enumerate(items, start=1) if item["id"] == after]
    rest = items[places[0] :] if places else items
    page = rest[:limit]
    return ItemList(
        data=page,
        first_id=page[0]["id"] if page else None,
        last_id=page[-1]["id"] if page else None,
        has_more=len(rest) > len(page),
    )
