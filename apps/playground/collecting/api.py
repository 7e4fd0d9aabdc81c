"""Conversations over REST, as far as datasets are made of them: /api/conversations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.db.models import Count, Q
from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import ConfigDict, Field

from apps.datasets.authors import author_of
from apps.datasets.errors import BadDataOrder, DatasetNotFound
from apps.datasets.models import Dataset
from apps.datasets.schemas import DatasetFault, DatasetJobOut
from apps.playground.collecting import services
from apps.playground.collecting.forms import MAX_CHOSEN
from apps.playground.collecting.rows import Kind, Which
from apps.playground.collecting.services import Picked
from apps.playground.models import Conversation, Message
from apps.playground.services import rate
from apps.uploads.pieces import UploadRefused

router = Router(tags=["Conversations"])

MAX_SHOWN = 100
Key = Annotated[int, Field(ge=1, le=2**53)]


class ConversationOut(Schema):
    id: UUID
    title: str
    messages: int
    liked: int = Field(description="Answers that people liked.")
    disliked: int
    corrected: int
    updated_at: datetime


class ConversationList(Schema):
    conversations: list[ConversationOut] = Field(description="The latest first.")
    total: int


class Pick(Schema):
    """Which conversations, and what of them. Without any named: all there are."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind = Field(default="chat", description="Conversations, or pairs of answers.")
    which: Which = Field(
        default="shown",
        description="Whole conversations, or only answers that are liked or corrected.",
    )
    conversations: list[UUID] = Field(default=[], max_length=MAX_CHOSEN)
    answers: list[Key] = Field(default=[], max_length=MAX_CHOSEN)

    @property
    def picked(self) -> Picked:
        chosen = tuple(self.conversations)
        return Picked(self.kind, self.which, chosen, tuple(self.answers))


class RowsOfChats(Schema):
    rows: list[dict[str, Any]] = Field(description=f"The first {MAX_SHOWN}.")
    total: int
    conversations: int = Field(description="How many gave a row.")


class DatasetOfChats(Pick):
    """Where the rows go: a new dataset of this name, or one that is there."""

    name: str = Field(default="", max_length=100)
    dataset: str = Field(default="", max_length=120)


class RatingIn(Schema):
    model_config = ConfigDict(extra="forbid")

    rating: Literal[-1, 0, 1] = Field(description="Bad, not rated, good.")


@router.get("/conversations", response=ConversationList, summary="List conversations")
def list_conversations(
    request: HttpRequest,
    q: Annotated[str, Query(max_length=200, description="Words in it.")] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> ConversationList:
    """With what people said of their answers."""
    found = Conversation.objects.matching(q.strip())
    page = found.values("id", "title", "updated_at").annotate(
        count=Count("messages", distinct=True),
        liked=Count("messages", filter=Q(messages__rating=Message.Rating.UP), distinct=True),
        disliked=Count("messages", filter=Q(messages__rating=Message.Rating.DOWN), distinct=True),
        corrected=Count("messages", filter=Q(messages__corrects__isnull=False), distinct=True),
    )[offset : offset + limit]
    listed = [ConversationOut.model_validate({**each, "messages": each["count"]}) for each in page]
    return ConversationList(conversations=listed, total=found.count())


@router.post("/conversations/rows", response=RowsOfChats, summary="Rows of conversations")
def preview_rows(request: HttpRequest, payload: Pick) -> RowsOfChats:
    """What would come of them; makes nothing."""
    found = services.collect(payload.picked)
    return RowsOfChats(rows=found.rows[:MAX_SHOWN], total=len(found.rows), conversations=found.used)


@router.post(
    "/conversations/dataset",
    response={202: DatasetJobOut, (400, 404, 409): DatasetFault},
    summary="Make a dataset of conversations",
)
def make_dataset_of_chats(request: HttpRequest, payload: DatasetOfChats) -> Status[DatasetJobOut]:
    """Queues a job that makes one, or adds to one of the same kind."""
    by = author_of(request)
    if payload.dataset:
        dataset = Dataset.objects.named(payload.dataset)
        job = services.add_to_dataset(picked=payload.picked, dataset=dataset, by=by)
        return Status(202, DatasetJobOut.of(job))
    name = payload.name.strip() or "Conversations"
    try:
        job = services.make_dataset(picked=payload.picked, name=name, by=by)
    except UploadRefused as error:
        raise BadDataOrder(str(error)) from error
    return Status(202, DatasetJobOut.of(job))


@router.put(
    "/conversations/answers/{int:key}/rating",
    response={200: RatingIn, 404: DatasetFault},
    summary="Rate an answer",
)
def rate_answer(request: HttpRequest, key: int, payload: RatingIn) -> RatingIn:
    """Good, bad, or taken back."""
    answer = Message.objects.answers().filter(pk=key).first()
    if answer is None:
        raise DatasetNotFound(f"There is no answer {key}.")
    rate(answer=answer, rating=Message.Rating(payload.rating))
    return payload
