"""What the comparison's pages show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from apps.playground import services as chats
from apps.playground.compare.choosing import (
    names_asked_for,
    names_posted,
    rearranged,
    to_begin_with,
)
from apps.playground.compare.forms import (
    SystemPromptForm,
    column_forms,
    columns_of,
    new_columns,
    writing_models,
)
from apps.playground.compare.models import MOST_COLUMNS, Column, ColumnAnswer, Comparison
from apps.playground.forms import MessageForm
from apps.playground.models import Conversation, Message
from apps.playground.presentation import Turn, turn_of
from apps.playground.tree import MessageTree
from apps.rendering.htmx import HtmxHttpRequest

RECENT = 8
"""Comparisons that a new one shows below it."""


@dataclass(frozen=True)
class Answer:
    """What one column says to a question."""

    column: str
    turn: Turn
    goes_on: bool
    """Whether the next question follows it."""
    can_be_retried: bool
    """Whether its column can be asked again: it fell short, and nothing follows it."""

    @property
    def is_voted(self) -> bool:
        return self.turn.message.rating == Message.Rating.UP


@dataclass(frozen=True)
class Round:
    """A question, and the answers in the columns' order."""

    question: Message
    answers: list[Answer]

    @property
    def can_be_voted(self) -> bool:
        """A vote is between answers that are all over."""
        over = not any(each.turn.message.is_running for each in self.answers)
        return over and len(self.answers) > 1


def new_page(
    request: HtmxHttpRequest,
    status: int = 200,
    *,
    columns: Sequence[Column] = (),
    **extra: Any,
) -> HttpResponse:
    """The page of a comparison that is not begun, with these columns or those of ``?models=a,b``."""
    there = list(writing_models())
    columns = columns or new_columns(to_begin_with(names_asked_for(request.GET), there))
    context = {
        "forms": column_forms(columns),
        "system_form": SystemPromptForm(),
        "message_form": MessageForm(initial={"content": request.GET.get("prompt", "")}),
        "names": [column.name for column in columns],
        "can_grow": len(columns) < MOST_COLUMNS,
        "is_alone": len(there) == 1,
        "recent": Comparison.objects.select_related("conversation")[:RECENT],
    }
    return render(request, "compare/comparison.html", context | extra, status=status)


def arranged_page(request: HtmxHttpRequest) -> HttpResponse:
    """The same page with a column more, or without the last; what is typed in it stays."""
    there = list(writing_models())
    posted = [name for name in names_posted(request.POST) if name in there]
    columns = new_columns(rearranged(posted, there, fewer=request.POST.get("columns") == "fewer"))
    typed = column_forms(columns[: len(posted)], request.POST)
    return new_page(
        request,
        columns=columns,
        forms=[*typed, *column_forms(columns)[len(posted) :]],
        system_form=SystemPromptForm(request.POST),
        message_form=MessageForm(initial={"content": request.POST.get("content", "")}),
    )


def comparison_page(
    request: HtmxHttpRequest, comparison: Comparison, status: int = 200, **extra: Any
) -> HttpResponse:
    """The page of a comparison, or for htmx its messages."""
    context = rounds_context(comparison)
    if request.htmx:
        return render(request, "compare/comparison.html#thread", context | extra, status=status)
    columns = columns_of(comparison)
    context |= {
        "forms": column_forms(columns),
        "names": [column.name for column in columns],
        "message_form": MessageForm(initial={"content": request.GET.get("prompt", "")}),
    }
    return render(request, "compare/comparison.html", context | extra, status=status)


def rounds_context(comparison: Comparison) -> dict[str, Any]:
    """The branch on show, its questions each with all answers; orphans are marked on the way."""
    chat = comparison.conversation
    messages = list(chat.messages.all())
    if chats.interrupt_orphans(among=messages):
        messages = list(chat.messages.all())
    rounds = _rounds(comparison, chat, messages)
    return {
        "comparison": comparison,
        "conversation": chat,
        "rounds": rounds,
        "running": any(message.is_running for message in messages),
    }


def _rounds(comparison: Comparison, chat: Conversation, messages: list[Message]) -> list[Round]:
    tree = MessageTree(messages)
    path = tree.path(chat.active_leaf_id)
    followed = {message.parent_id for message in messages}
    whose = _columns_of_answers(comparison)
    shown = {message.pk for message in path}
    found: dict[int, list[Answer]] = defaultdict(list)
    for message in messages:
        if message.is_answer and message.parent_id in shown and message.pk in whose:
            answer = Answer(
                column=str(whose[message.pk]),
                turn=turn_of(tree, message),
                goes_on=message.pk in shown,
                can_be_retried=message.fell_short and message.pk not in followed,
            )
            found[message.parent_id].append(answer)
    questions = [message for message in path if not message.is_answer]
    return [
        Round(
            question,
            sorted(found[question.pk], key=lambda each: whose[each.turn.message.pk].position),
        )
        for question in questions
    ]


def _columns_of_answers(comparison: Comparison) -> dict[int, Column]:
    rows = ColumnAnswer.objects.filter(column__comparison=comparison)
    rows = rows.select_related("column__model", "column__adapter__base")
    return {row.pk: row.column for row in rows}
