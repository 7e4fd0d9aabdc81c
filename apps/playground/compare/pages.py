"""What the comparison's pages show."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from apps.playground import services as chats
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


def new_page(request: HtmxHttpRequest, status: int = 200, **extra: Any) -> HttpResponse:
    """The page of a comparison that is not begun; ``?models=a,b`` are its columns."""
    named = writing_models()
    columns = new_columns(_names_asked_for(request))
    if not columns:
        columns = new_columns(list(named)[:2] if len(named) > 1 else list(named) * 2)
    names = [column.name for column in columns]
    context = {
        "forms": column_forms(columns),
        "system_form": SystemPromptForm(),
        "message_form": MessageForm(initial={"content": request.GET.get("prompt", "")}),
        "names": names,
        "more": list(named) if len(names) < MOST_COLUMNS else [],
        "recent": Comparison.objects.select_related("conversation")[:RECENT],
    }
    return render(request, "compare/comparison.html", context | extra, status=status)


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
    whose = _columns_of_answers(comparison)
    shown = {message.pk for message in path}
    found: dict[int, list[Answer]] = defaultdict(list)
    for message in messages:
        if message.is_answer and message.parent_id in shown and message.pk in whose:
            answer = Answer(str(whose[message.pk]), turn_of(tree, message), message.pk in shown)
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


def _names_asked_for(request: HtmxHttpRequest) -> list[str]:
    given = [name for each in request.GET.getlist("models") for name in each.split(",")]
    return [name.strip() for name in given if name.strip()][:MOST_COLUMNS]
