"""Asking, branching, deleting, and what a killed hub leaves behind."""

from __future__ import annotations

import pytest

from apps.inference.engine.protocol import Generate
from apps.inference.engine.protocol import Message as Said
from apps.models.models import LocalModel
from apps.playground import answers, services
from apps.playground.errors import AnswerRunning, NoModel
from apps.playground.forms import SettingsForm
from apps.playground.models import Conversation, Message
from apps.playground.tests.conftest import Ask, finished
from apps.playground.tree import MessageTree
from tests.engine_scripts import Gate, Hang, HangUp, reply
from tests.fake_engine import FakeEngine

State = Message.State


def branch(chat: Conversation) -> list[str]:
    """What is said on the branch on show."""
    chat.refresh_from_db()
    path = MessageTree(chat.messages.all()).path(chat.active_leaf_id)
    return [message.content for message in path]


def said(engine: FakeEngine, number: int) -> list[tuple[str, str]]:
    """The roles and contents of the engine's ``number``-th generation."""
    request = engine.wait_for_call(Generate, number).request
    return [(message.role, message.content) for message in request.messages]


def test_the_engine_gets_the_system_prompt_the_branch_and_the_sampling(
    engine: FakeEngine, tiny: LocalModel
) -> None:
    settings = {
        "model": tiny,
        "system_prompt": "Be brief.",
        "temperature": 0.5,
        "top_p": 0.8,
        "max_tokens": 64,
        "seed": 7,
    }
    finished(services.start_conversation(settings=settings, content="Hello?"))
    request = engine.wait_for_call(Generate).request

    assert request.model.digest == "digest-tiny"
    assert request.messages == (
        Said(role="system", content="Be brief."),
        Said(role="user", content="Hello?"),
    )
    sampling = request.sampling
    assert (sampling.temperature, sampling.top_p) == (0.5, 0.8)
    assert (sampling.max_tokens, sampling.seed) == (64, 7)
    assert request.client == "playground"


def test_the_next_turn_carries_the_ones_before(engine: FakeEngine, ask: Ask) -> None:
    engine.once(Generate, *reply("Hi."))
    ask("Hello?")
    ask("Who are you?")

    assert said(engine, 2) == [("user", "Hello?"), ("assistant", "Hi."), ("user", "Who are you?")]


def test_roles_alternate_even_after_an_answer_that_never_came(engine: FakeEngine, ask: Ask) -> None:
    engine.once(Generate, HangUp())
    ask("Hello?")
    ask("Anybody there?")

    assert said(engine, 2) == [("user", "Hello?\n\nAnybody there?")]


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("Hello?", "Hello?"),
        ("\n  First line\nsecond line", "First line"),
        ("word " * 40, "word " * 14 + "word…"),
        ("x" * 200, "x" * 79 + "…"),
    ],
)
def test_a_title_is_the_first_line_cut_at_a_word(content: str, title: str) -> None:
    assert services.title_from(content) == title


def test_one_question_at_a_time(chat: Conversation, hanging: Message) -> None:
    with pytest.raises(AnswerRunning):
        services.send(conversation=chat, content="Hello?")

    assert chat.messages.count() == 2


def test_without_a_model_nothing_is_stored(engine: FakeEngine, chat: Conversation) -> None:
    Conversation.objects.update(model=None)
    with pytest.raises(NoModel):
        services.send(conversation=chat, content="Hello?")

    assert not chat.messages.exists()


def test_regenerating_adds_a_version(engine: FakeEngine, chat: Conversation, ask: Ask) -> None:
    engine.once(Generate, *reply("Hi."))
    first = ask("Hello?")
    engine.once(Generate, *reply("Hey."))
    second = finished(services.regenerate(answer=first))

    assert second.parent == first.parent
    assert branch(chat) == ["Hello?", "Hey."]
    assert said(engine, 2) == [("user", "Hello?")]


def test_an_answer_that_is_being_written_is_not_regenerated(hanging: Message) -> None:
    with pytest.raises(AnswerRunning):
        services.regenerate(answer=hanging)


def test_settings_saved_while_a_message_is_sent_leave_it_in_view(
    chat: Conversation, ask: Ask
) -> None:
    read_before = Conversation.objects.get(pk=chat.pk)
    answer = ask("Hello?")
    values = {
        "model": chat.model_id,
        "temperature": 1,
        "top_p": 1,
        "repetition_penalty": 1,
        "max_tokens": 20,
    }

    SettingsForm(values, instance=read_before).save()

    chat.refresh_from_db()
    assert (chat.active_leaf, chat.max_tokens) == (answer, 20)


def test_a_double_click_regenerates_once(engine: FakeEngine, chat: Conversation, ask: Ask) -> None:
    first = ask("Hello?")
    engine.once(Generate, *reply("Hey", Hang()))
    services.regenerate(answer=first)

    with pytest.raises(AnswerRunning):
        services.regenerate(answer=first)


def test_a_retry_takes_the_place_of_an_answer_without_a_word(
    engine: FakeEngine, chat: Conversation, ask: Ask
) -> None:
    engine.once(Generate, HangUp())
    failed = ask("Hello?")
    retried = finished(services.regenerate(answer=failed))

    assert branch(chat) == ["Hello?", "Hello world"]
    assert list(chat.messages.filter(role="assistant")) == [retried]


def test_a_retry_keeps_the_words_of_an_interrupted_answer(
    engine: FakeEngine, chat: Conversation, ask: Ask
) -> None:
    engine.once(Generate, *reply("Hel", HangUp()))
    interrupted = ask("Hello?")
    finished(services.regenerate(answer=interrupted))

    assert [one.content for one in chat.messages.filter(role="assistant")] == ["Hel", "Hello world"]


def test_editing_a_question_opens_a_branch(
    engine: FakeEngine, chat: Conversation, ask: Ask
) -> None:
    question = ask("Helo?").parent
    assert question is not None
    ask("More?")
    finished(services.edit(question=question, content="Hello?"))

    assert branch(chat) == ["Hello?", "Hello world"]
    assert chat.messages.filter(parent=None).count() == 2


def test_showing_a_version_shows_what_was_said_after_it(
    engine: FakeEngine, chat: Conversation, ask: Ask
) -> None:
    engine.once(Generate, *reply("Hi."))
    first = ask("Hello?")
    ask("And?")
    finished(services.regenerate(answer=first))
    assert branch(chat) == ["Hello?", "Hello world"]
    services.show_branch(message=first)

    assert branch(chat) == ["Hello?", "Hi.", "And?", "Hello world"]


def test_deleting_a_message_deletes_what_follows_it(chat: Conversation, ask: Ask) -> None:
    ask("One?")
    question = ask("Two?").parent
    assert question is not None
    services.delete_message(message=question)

    assert branch(chat) == ["One?", "Hello world"]
    assert chat.messages.count() == 2


def test_deleting_a_version_brings_another_into_view(
    engine: FakeEngine, chat: Conversation, ask: Ask
) -> None:
    engine.once(Generate, *reply("Hi."))
    first = ask("Hello?")
    second = finished(services.regenerate(answer=first))
    services.delete_message(message=second)

    assert branch(chat) == ["Hello?", "Hi."]


def test_deleting_one_branch_lets_an_answer_on_another_go_on(
    engine: FakeEngine, chat: Conversation, ask: Ask
) -> None:
    gate = Gate()
    old = ask("Hello?").parent
    assert old is not None
    engine.once(Generate, *reply("Bon", gate, "jour."))
    running = services.edit(question=old, content="Bonjour ?")
    engine.wait_for_call(Generate, 2)

    services.delete_message(message=old)
    gate.open()

    assert finished(running).content == "Bonjour."


def test_deleting_a_conversation_frees_the_engine(
    engine: FakeEngine, chat: Conversation, hanging: Message
) -> None:
    call = engine.wait_for_call(Generate)
    services.delete_conversation(conversation=chat)

    call.wait_closed_early()
    assert not Message.objects.exists()


def test_what_a_killed_hub_left_running_is_interrupted(chat: Conversation) -> None:
    orphan = Message.objects.create(
        conversation=chat, role="assistant", state=State.RUNNING, content="The capital"
    )
    assert services.interrupt_orphans(among=Message.objects.running()) == 1

    orphan.refresh_from_db()
    assert (orphan.state, orphan.content) == (State.INTERRUPTED, "The capital")
    assert "The hub stopped" in orphan.error


def test_what_is_being_written_is_no_orphan(engine: FakeEngine, chat: Conversation) -> None:
    gate = Gate()
    engine.once(Generate, gate, *reply("Hi."))
    answer = services.send(conversation=chat, content="Hello?")
    assert services.interrupt_orphans(among=Message.objects.running()) == 0
    gate.open()

    assert finished(answer).state == State.COMPLETE
    assert answers.find(answer.pk) is None


def test_search_finds_titles_and_messages_once(chat: Conversation, ask: Ask) -> None:
    ask("Where is Paris? Paris, I say.")
    ask("And Paris?")
    found = Conversation.objects.matching

    assert list(found("capit")) == [chat]
    assert list(found("paris")) == [chat]
    assert list(found("")) == [chat]
    assert list(found("London")) == []
