"""Asking all columns, voting, stopping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from apps.inference.services import engine
from apps.jobs.models import this_process
from apps.playground import answers
from apps.playground.compare.models import Column, ColumnAnswer, Comparison
from apps.playground.errors import AnswerRunning, NoModel
from apps.playground.models import Conversation, Message
from apps.playground.prompts import request_for
from apps.playground.services import stop, title_from
from apps.playground.tree import MessageTree

_SETTINGS = ("temperature", "top_p", "repetition_penalty", "max_tokens", "seed")


def start_comparison(
    *, columns: Sequence[Mapping[str, Any]], system_prompt: str, content: str
) -> Comparison:
    """A new comparison with its first question, which is being answered. Raises NoModel.

    ``columns``: fields of Column, in the order of the columns.
    """
    with transaction.atomic():
        # The chat goes on with the first column's model.
        first = columns[0]
        conversation = Conversation.objects.create(
            title=title_from(content), system_prompt=system_prompt, **first
        )
        comparison = Comparison.objects.create(conversation=conversation)
        Column.objects.bulk_create(
            Column(comparison=comparison, position=position, **fields)
            for position, fields in enumerate(columns)
        )
        _ask(comparison, conversation, content)
    return comparison


def ask(*, comparison: Comparison, content: str) -> None:
    """The next question, behind the answer on show. Raises AnswerRunning and NoModel."""
    with transaction.atomic():
        # Locked, so that a double click asks once.
        locked = Conversation.objects.select_for_update().get(pk=comparison.pk)
        if locked.messages.running().exists():
            raise AnswerRunning
        _ask(comparison, locked, content)


def change_columns(*, comparison: Comparison, columns: Sequence[Mapping[str, Any]]) -> None:
    """Other models or settings for the questions to come; as many columns as before."""
    with transaction.atomic():
        for column, fields in zip(comparison.columns.all(), columns, strict=True):
            for name, value in fields.items():
                setattr(column, name, value)
            column.save(update_fields=list(fields))


def vote(*, answer: Message) -> None:
    """Call ``answer`` better than its neighbours; the conversation goes on from it."""
    with transaction.atomic():
        neighbours = Message.objects.filter(
            conversation=answer.conversation, parent=answer.parent, rating=Message.Rating.UP
        )
        neighbours.exclude(pk=answer.pk).update(rating=Message.Rating.NONE)
        answer.rating = Message.Rating.UP
        answer.save(update_fields=["rating"])
        answer.conversation.show(answer)


def take_back(*, answer: Message) -> None:
    """Take a vote for ``answer`` back."""
    answer.rating = Message.Rating.NONE
    answer.save(update_fields=["rating"])


def retry(*, answer: Message) -> None:
    """Ask the column of an answer that fell short once more; does nothing for others.

    What it had said stays as a version of the answer, for the chat. Raises NoModel.
    """
    with transaction.atomic():
        # Locked and read again, so that a double click asks once.
        conversation = Conversation.objects.select_for_update().get(pk=answer.conversation_id)
        own = _columns(answer.conversation_id).filter(answers__message=answer).first()
        if own is None or not answer.fell_short or answer.replies.exists():
            return
        branch = MessageTree(conversation.messages.all()).path(answer.parent_id)
        made = _answer(conversation, own, branch)
        if conversation.active_leaf_id == answer.pk:
            conversation.show(made)
        if answer.content:
            ColumnAnswer.objects.filter(message=answer).delete()
        else:
            answer.delete()


def stop_all(*, comparison: Comparison) -> None:
    """End what is being written; the text so far is kept."""
    running = list(comparison.conversation.messages.running())
    # Asked for first, waited for after: they end side by side.
    for message in running:
        if (answer := answers.find(message.pk)) is not None:
            answer.stop()
    for message in running:
        stop(answer=message)


def _ask(comparison: Comparison, conversation: Conversation, content: str) -> None:
    question = Message.objects.create(
        conversation=conversation,
        parent=_goes_on_from(conversation),
        role=Message.Role.USER,
        content=content,
    )
    branch = MessageTree(conversation.messages.all()).path(question.pk)
    made = [_answer(conversation, column, branch) for column in _columns(comparison.pk)]
    conversation.show(made[0])


def _goes_on_from(conversation: Conversation) -> Message | None:
    """The answer on show; where that fell short, the first that did not."""
    leaf = conversation.active_leaf
    if leaf is None or not leaf.fell_short:
        return leaf
    beside = conversation.messages.filter(parent=leaf.parent, column_answer__isnull=False)
    in_order = beside.order_by("column_answer__column__position")
    return next((answer for answer in in_order if answer.is_whole), leaf)


def _columns(comparison: UUID) -> QuerySet[Column]:
    """In their order, with what a request takes."""
    columns = Column.objects.filter(comparison=comparison)
    return columns.select_related("model__draft", "adapter__base")


def _answer(conversation: Conversation, column: Column, branch: Sequence[Message]) -> Message:
    """Raises NoModel."""
    model, adapter = column.model, column.adapter
    if model is None:
        raise NoModel
    named = model.name if adapter is None else f"{model.name}:{adapter.slug}"
    message = Message.objects.create(
        conversation=conversation,
        parent=branch[-1],
        role=Message.Role.ASSISTANT,
        state=Message.State.RUNNING,
        model_name=named,
        runner=this_process(),
    )
    ColumnAnswer.objects.create(message=message, column=column)
    settings = {name: getattr(column, name) for name in _SETTINGS}
    asked = Conversation(system_prompt=conversation.system_prompt, adapter=adapter, **settings)
    request = request_for(asked, model, branch)
    running = answers.RunningAnswer(message.pk, request, engine())
    answers.register(running)
    transaction.on_commit(running.start)
    return message
