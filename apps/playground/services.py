"""What happens to conversations: asking, answering, branching, deleting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction

from apps.inference.services import engine
from apps.jobs.models import is_alive, this_process
from apps.playground import answers
from apps.playground.errors import AnswerRunning, NoModel, NotContinuable
from apps.playground.mirrors import mirror
from apps.playground.models import TITLE_LENGTH, Conversation, Message
from apps.playground.outcome import Outcome
from apps.playground.prompts import request_for
from apps.playground.thinking import split_thinking
from apps.playground.tree import MessageTree

STOP_PATIENCE = 3.0
"""Seconds to wait for a stopped answer to be stored before going on."""

_CUT_SHORT = (
    "The hub stopped, or could not store the text, while this was being written. "
    "What was stored by then is kept."
)


def start_conversation(*, settings: Mapping[str, Any], content: str) -> Message:
    """A new conversation with its first question; returns the running answer.

    Raises NoModel.
    """
    with transaction.atomic():
        conversation = Conversation.objects.create(title=title_from(content), **settings)
        return _ask(conversation, content, parent=None)


def send(*, conversation: Conversation, content: str) -> Message:
    """Continue the branch on show; returns the running answer.

    Raises AnswerRunning and NoModel.
    """
    with transaction.atomic():
        # Locked, so that a double click asks once.
        locked = Conversation.objects.select_for_update().get(pk=conversation.pk)
        if locked.active_leaf is not None and locked.active_leaf.is_running:
            raise AnswerRunning
        return _ask(locked, content, parent=locked.active_leaf)


def edit(*, question: Message, content: str) -> Message:
    """Ask ``question`` differently, on a branch of its own. Raises NoModel."""
    with transaction.atomic():
        return _ask(question.conversation, content, parent=question.parent)


def regenerate(*, answer: Message) -> Message:
    """Answer the same question again; returns the new, running answer.

    The old one stays as another version, unless it never got a word out.
    Raises AnswerRunning and NoModel.
    """
    with transaction.atomic():
        # Locked, so that a double click asks once.
        conversation = Conversation.objects.select_for_update().get(pk=answer.conversation_id)
        question = answer.parent
        if conversation.messages.filter(parent=question).running().exists():
            raise AnswerRunning
        if answer.fell_short and not answer.content and not answer.replies.exists():
            conversation.show(question)
            answer.delete()
        return _answer(conversation, question)


def go_on(*, answer: Message) -> Message:
    """Write on where ``answer`` was cut, in the same message; returns it, running.

    Raises AnswerRunning, NoModel and NotContinuable.
    """
    with transaction.atomic():
        # Locked and read again, so that a double click asks once.
        conversation = Conversation.objects.select_for_update().get(pk=answer.conversation_id)
        answer = Message.objects.get(pk=answer.pk)
        if answer.is_running:
            raise AnswerRunning
        _require_continuable(answer, conversation)
        earlier, said = Outcome.of(answer), answer.content
        answer.state, answer.error = Message.State.RUNNING, ""
        answer.runner, answer.stop_asked = this_process(), False
        answer.save(update_fields=["state", "error", "runner", "stop_asked"])
        conversation.show(answer)
        branch = MessageTree(conversation.messages.all()).path(answer.pk)
        _write(answer, conversation, branch, said=said, earlier=earlier)
    return answer


def rate(*, answer: Message, rating: Message.Rating) -> None:
    """Say whether an answer is good or bad; ``NONE`` takes that back."""
    Message.objects.filter(pk=answer.pk).update(rating=rating)
    answer.rating = rating


def correct(*, answer: Message, content: str) -> Message:
    """Put ``content`` in place of an answer, as another version of it; returns that one.

    A correction of a correction is one of what the model said. Raises AnswerRunning.
    """
    if answer.is_running:
        raise AnswerRunning
    if content.strip() == split_thinking(answer.content)[1].strip():
        return answer
    with transaction.atomic():
        corrected = Message.objects.create(
            conversation=answer.conversation,
            parent=answer.parent,
            role=Message.Role.ASSISTANT,
            content=content,
            model_name=answer.model_name,
            corrects=answer.corrects or answer,
        )
        answer.conversation.show(corrected)
    return corrected


def stop(*, answer: Message) -> None:
    """End the engine's work on ``answer`` at once and keep its text."""
    running = answers.find(answer.pk)
    if running is not None:
        running.stop()
        running.wait(STOP_PATIENCE)
    elif is_written_elsewhere(answer):
        Message.objects.running().filter(pk=answer.pk).update(stop_asked=True)
        mirror(answer.pk).wait(STOP_PATIENCE)
    answer.refresh_from_db()


def show_branch(*, message: Message) -> None:
    """Show the branch through ``message`` that was last written to."""
    conversation = message.conversation
    tree = MessageTree(conversation.messages.all())
    conversation.show(tree.newest_leaf(message))


def delete_message(*, message: Message) -> None:
    """Delete ``message`` and everything said after it; a sibling's branch comes into view."""
    conversation = message.conversation
    tree = MessageTree(conversation.messages.all())
    _stop_running(among=[message, *tree.below(message)])
    with transaction.atomic():
        others = [other for other in tree.siblings(message) if other.pk != message.pk]
        conversation.show(tree.newest_leaf(others[-1]) if others else message.parent)
        message.delete()


def delete_conversation(*, conversation: Conversation) -> None:
    """Delete ``conversation`` and end what is being written in it."""
    _stop_running(among=conversation.messages.all())
    conversation.delete()


def interrupt_orphans(*, among: Iterable[Message]) -> int:
    """Mark those answers ``among`` these that nobody writes any more; returns how many.

    Called for all of them when a web process starts, and before a branch is shown:
    an answer's result may have found the disk full. What another process of this
    machine writes is left to that one, for as long as it lives.
    """
    # Read from the database first and looked up after, as the caller has to: an
    # answer that ends in between is no longer running there, and stays as it is.
    orphans = [
        one.pk
        for one in among
        if one.is_running and answers.find(one.pk) is None and not is_written_elsewhere(one)
    ]
    return Message.objects.filter(pk__in=orphans).interrupt(_CUT_SHORT)


def is_written_elsewhere(answer: Message) -> bool:
    """Whether another process of this machine is writing it."""
    return answer.is_running and answer.runner != this_process() and is_alive(answer.runner)


def title_from(content: str) -> str:
    """The first line of a question, cut at a word where it is long."""
    line = content.strip().splitlines()[0].strip()
    if len(line) <= TITLE_LENGTH:
        return line
    return line[: TITLE_LENGTH - 1].rsplit(" ", 1)[0] + "…"


def _ask(conversation: Conversation, content: str, parent: Message | None) -> Message:
    question = Message.objects.create(
        conversation=conversation, parent=parent, role=Message.Role.USER, content=content
    )
    return _answer(conversation, question)


def _answer(conversation: Conversation, question: Message | None) -> Message:
    message = Message.objects.create(
        conversation=conversation,
        parent=question,
        role=Message.Role.ASSISTANT,
        state=Message.State.RUNNING,
        runner=this_process(),
        model_name=_model_name(conversation),
    )
    conversation.show(message)
    branch = MessageTree(conversation.messages.all()).path(message.parent_id)
    _write(message, conversation, branch)
    return message


def _write(
    message: Message,
    conversation: Conversation,
    branch: Sequence[Message],
    *,
    said: str = "",
    earlier: Outcome | None = None,
) -> None:
    """Have ``message`` written once this transaction is through; ``branch`` is what it answers."""
    assert conversation.model is not None
    request = request_for(conversation, conversation.model, branch)
    running = answers.RunningAnswer(message.pk, request, engine(), said=said, earlier=earlier)
    answers.register(running)
    transaction.on_commit(running.start)


def _model_name(conversation: Conversation) -> str:
    """What its answers are labelled with. Raises NoModel."""
    model, adapter = conversation.model, conversation.adapter
    if model is None:
        raise NoModel
    return model.name if adapter is None else f"{model.name}:{adapter.slug}"


def _require_continuable(answer: Message, conversation: Conversation) -> None:
    """Raises NoModel and NotContinuable."""
    if _model_name(conversation) != answer.model_name:
        raise NotContinuable(
            f"{answer.model_name} began this answer. Choose that model to go on with it, or let "
            "the chosen one answer again."
        )
    if not answer.was_cut:
        raise NotContinuable("This answer came to its end. Ask for more in a message.")
    if answer.replies.exists():
        raise NotContinuable("The chat has gone on from this answer. Ask for more in a message.")


def _stop_running(*, among: Iterable[Message]) -> None:
    for message in among:
        if message.is_running:
            stop(answer=message)
