"""Conversations: renamed, deleted, found, escaped, and followed by their events."""

from __future__ import annotations

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient, Client

from apps.inference.engine.protocol import Generate
from apps.models.models import LocalModel
from apps.playground import answers, pages, services
from apps.playground.models import Conversation, Message
from apps.playground.tests.addresses import message_url, url
from apps.playground.tests.conftest import Ask
from apps.playground.tests.test_streams import parse, text_of
from tests.engine_scripts import Gate, reply
from tests.fake_engine import FakeEngine

State = Message.State

# --- deleting, renaming, finding ----------------------------------------------


def test_deleting_a_message_is_asked_about_in_place(client: Client, ask: Ask) -> None:
    question = ask("Hello?").parent
    assert question is not None
    page = client.get(f"{url(question.conversation)}?delete={question.pk}").content.decode()
    assert "Delete this message and the 1 that follows it?" in page

    client.post(message_url(question, "delete/"))
    assert not Message.objects.exists()


def test_a_conversation_is_renamed(client: Client, chat: Conversation) -> None:
    before = chat.updated_at
    client.post(url(chat, "rename/"), {"title": "  Cities "})

    chat.refresh_from_db()
    assert (chat.title, chat.updated_at) == ("Cities", before)


def test_a_name_cannot_be_empty(client: Client, chat: Conversation) -> None:
    assert client.post(url(chat, "rename/"), {"title": " "}).status_code == 422


def test_a_conversation_is_deleted(client: Client, chat: Conversation) -> None:
    assert client.post(url(chat, "delete/"))["Location"] == "/playground/"
    assert client.get(url(chat)).status_code == 404


def test_the_list_is_searched_and_paged(
    client: Client, chat: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE_SIZE", 2)
    for number in range(4):
        Conversation.objects.create(title=f"Talk {number}")
    headers = {"HX-Request": "true", "HX-Target": "conversations"}
    first = client.get("/playground/?q=Talk", headers=headers).content.decode()
    second = client.get("/playground/?q=Talk&page=2", headers=headers).content.decode()

    assert "1 of 2" in first
    assert "?q=Talk&amp;page=2" in first
    assert [f"Talk {number}" in first for number in range(4)] == [False, False, True, True]
    assert [f"Talk {number}" in second for number in range(4)] == [True, True, False, False]
    assert "Capitals" not in first + second


@pytest.mark.parametrize("page", ["0", "999", "x", "-1"])
def test_a_page_that_is_not_there_is_not_an_error(
    client: Client, chat: Conversation, page: str
) -> None:
    assert client.get(f"/playground/?page={page}").status_code == 200


@pytest.mark.parametrize("number", ["0", "x", "²", "99999999999999999999", "-1"])
def test_a_message_that_is_not_there_is_not_edited(
    client: Client, chat: Conversation, number: str
) -> None:
    assert client.get(url(chat), {"edit": number, "delete": number}).status_code == 200


def test_what_was_written_is_escaped_everywhere(
    client: Client, chat: Conversation, tiny: LocalModel
) -> None:
    evil = '"><script>alert(1)</script>'
    LocalModel.objects.update(name=evil)
    Conversation.objects.update(title=evil, system_prompt=evil)
    question = Message.objects.create(conversation=chat, role="user", content=evil)
    answer = Message.objects.create(
        conversation=chat,
        role="assistant",
        parent=question,
        content=evil,
        model_name=evil,
        error=evil,
        state=State.FAILED,
    )
    chat.refresh_from_db()
    chat.show(answer)
    for address in (
        url(chat),
        f"{url(chat)}?edit={question.pk}&q={evil}",
        f"/playground/?prompt={evil}",
    ):
        assert "<script>alert" not in client.get(address).content.decode()


@pytest.mark.parametrize("named", ["x", "-1", "²", "9" * 5000])
def test_an_address_that_names_no_message_shows_the_conversation(
    client: Client, chat: Conversation, named: str
) -> None:
    assert client.get(url(chat), {"edit": named, "delete": named}).status_code == 200


@pytest.mark.parametrize("action", ["send/", "settings/", "rename/", "delete/"])
def test_actions_are_posts(client: Client, chat: Conversation, action: str) -> None:
    assert client.get(url(chat, action)).status_code == 405


def test_a_form_without_its_token_is_refused(chat: Conversation) -> None:
    assert Client(enforce_csrf_checks=True).post(url(chat, "delete/")).status_code == 403


# --- events -------------------------------------------------------------------


async def test_a_running_answer_is_streamed_to_its_end(
    engine: FakeEngine, chat: Conversation
) -> None:
    gate = Gate()
    engine.once(Generate, *reply("The capital", gate, " is Paris."))
    answer = await sync_to_async(services.send)(conversation=chat, content="Hello?")
    response = await AsyncClient().get(message_url(answer, "events/"))
    received = b""
    async for part in response.streaming_content:
        received += part
        if b"The capital" in received:
            gate.open()

    assert text_of(parse(received)) == "The capital is Paris."
    assert parse(received)[-1].name == "end"
    await answer.arefresh_from_db()
    assert answer.state == State.COMPLETE


def test_a_finished_answer_is_replayed(client: Client, ask: Ask) -> None:
    answer = ask("Hello?")
    response = client.get(message_url(answer, "events/"), headers={"Last-Event-ID": "6"})

    assert text_of(parse(response.content)) == "world"
    assert answers.find(answer.pk) is None


def test_a_wsgi_server_streams_too(client: Client, engine: FakeEngine, chat: Conversation) -> None:
    gate = Gate()
    engine.once(Generate, *reply("The capital", gate, " is Paris."))
    answer = services.send(conversation=chat, content="Hello?")
    response = client.get(message_url(answer, "events/"))
    gate.open()

    assert text_of(parse(b"".join(response.streaming_content))) == "The capital is Paris."
