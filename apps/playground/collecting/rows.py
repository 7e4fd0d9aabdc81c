"""Conversations to rows that a model can learn from.

A conversation row is a branch up to an answer. A preference pair is one question with two
of its answers, of which people said, or showed, that one is better: a correction is better
than a liked answer, that is better than one of which nothing was said, and a disliked one
is the worst. Answers that were cut short teach nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from apps.datasets.formats.mapping import Mapping, Target
from apps.playground.models import Conversation, Message
from apps.playground.prompts import spoken
from apps.playground.thinking import split_thinking
from apps.playground.tree import MessageTree

Kind = Literal["chat", "preference"]
Which = Literal["shown", "liked"]
Row = dict[str, Any]

ORIGIN = "conversation"
"""The field of a row that names its conversation: those of one can be kept in one split."""

MAPPINGS: dict[Kind, Mapping] = {
    "chat": Mapping(Target.CHAT, {"messages": "{messages}"}, (ORIGIN,)),
    "preference": Mapping(
        Target.PREFERENCE,
        {"prompt": "{prompt}", "chosen": "{chosen}", "rejected": "{rejected}"},
        (ORIGIN,),
    ),
}
"""What makes dataset rows of these."""


def rows_of(
    conversation: Conversation,
    messages: Sequence[Message],
    *,
    kind: Kind,
    which: Which,
    only: frozenset[int] | None = None,
) -> Iterator[Row]:
    """The rows of one conversation, whose ``messages`` are all of it.

    ``which``: of conversation rows, the branch on show as a whole, or one row for each
    answer that was liked or is a correction. ``only``: the keys of the answers that rows
    are wanted of, whichever they are.
    """
    tree = MessageTree(messages)
    answers = [message for message in messages if message.is_answer and message.is_whole]
    if only is not None:
        answers = [answer for answer in answers if answer.pk in only]
    if kind == "preference":
        yield from _pairs(conversation, tree, answers)
        return
    if only is None and which == "shown":
        last = _last_good(tree.path(conversation.active_leaf_id))
        answers = [last] if last else []
    elif only is None:
        answers = [answer for answer in answers if _is_wanted(tree, answer)]
    for answer in answers:
        said = _spoken(conversation, tree.path(answer.pk))
        yield {"messages": said, ORIGIN: str(conversation.pk)}


def _last_good(branch: list[Message]) -> Message | None:
    """The last whole answer before one that was disliked."""
    last = None
    for message in branch:
        if message.is_answer and message.rating == Message.Rating.DOWN:
            break
        if message.is_answer and message.is_whole:
            last = message
    return last


def _is_wanted(tree: MessageTree, answer: Message) -> bool:
    """Whether it is liked, or the last correction of its answer and not disliked."""
    if answer.rating != Message.Rating.NONE:
        return answer.rating == Message.Rating.UP
    return answer.is_correction and not _is_superseded(tree, answer)


def _is_superseded(tree: MessageTree, answer: Message) -> bool:
    """Whether the same answer was corrected once more after this correction."""
    later = (each for each in tree.siblings(answer) if each.pk > answer.pk)
    return answer.is_correction and any(each.corrects_id == answer.corrects_id for each in later)


def _pairs(conversation: Conversation, tree: MessageTree, answers: list[Message]) -> Iterator[Row]:
    """For each question with answers of different worth: the best, and each that is worse."""
    questions = {answer.parent_id: answer for answer in answers}
    for answer in questions.values():
        versions = [
            each
            for each in tree.siblings(answer)
            if each.is_answer and each.is_whole and not _is_superseded(tree, each)
        ]
        best = max(versions, key=lambda each: (_worth(each), each.pk))
        prompt = _spoken(conversation, tree.path(answer.parent_id))
        for worse in versions:
            pair = {"chosen": _said(best), "rejected": _said(worse)}
            if _worth(worse) < _worth(best) and pair["chosen"] != pair["rejected"]:
                yield {"prompt": prompt, **pair, ORIGIN: str(conversation.pk)}


def _worth(answer: Message) -> int:
    if answer.is_correction and answer.rating != Message.Rating.DOWN:
        return 2
    return answer.rating


def _spoken(conversation: Conversation, branch: Sequence[Message]) -> list[dict[str, str]]:
    """What was said, without thoughts: those are the model's own affair."""
    said = spoken(conversation.system_prompt, branch)
    return [{"role": message.role, "content": str(message.content)} for message in said]


def _said(answer: Message) -> str:
    return split_thinking(answer.content)[1].strip()
