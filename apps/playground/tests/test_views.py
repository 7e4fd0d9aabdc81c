"""The pages and actions, as plain forms and as htmx requests."""

from __future__ import annotations

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient, Client

from apps.inference.engine.protocol import AdapterSpec, Generate
from apps.models.models import Adapter, LocalModel
from apps.playground import answers, pages, services
from apps.playground.models import Conversation, Message
from apps.playground.tests.conftest import Ask, finished
from apps.playground.tests.test_streams import parse, text_of
from tests.fake_engine import FakeEngine, Gate, HangUp, reply
from tests.registry import make_model

HTMX = {"HX-Request": "true", "HX-Target": "thread"}
SETTINGS = {
    "temperature": "0.3",
    "top_p": "0.9",
    "repetition_penalty": "1",
    "max_tokens": "64",
    "system_prompt": "",
}
State = Message.State


def url(chat: Conversation, action: str = "") -> str:
    return f"/playground/c/{chat.pk}/{action}"


def message_url(message: Message | None, action: str = "") -> str:
    assert message is not None
    return f"/playground/m/{message.pk}/{action}"


# --- a new conversation -------------------------------------------------------


def test_the_playground_opens_with_examples(client: Client, tiny: LocalModel) -> None:
    page = client.get("/playground/").content.decode()

    assert "What is the capital of France?" in page
    assert "<h1>Playground</h1>" in page


def test_without_a_model_the_page_says_what_to_do(client: Client, db: None) -> None:
    page = client.get("/playground/").content.decode()

    assert "No model is registered yet" in page
    assert 'href="/models/"' in page


def test_the_first_message_opens_a_conversation(
    client: Client, engine: FakeEngine, tiny: LocalModel
) -> None:
    form = SETTINGS | {"content": "What is the capital of France?", "model": tiny.pk}
    response = client.post("/playground/start/", form)
    chat = Conversation.objects.get()
    question, answer = chat.messages.all()
    finished(answer)

    assert response["Location"] == f"{url(chat)}#m{answer.pk}"
    assert chat.title == question.content == "What is the capital of France?"
    assert "Hello world" in client.get(url(chat)).content.decode()


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("content", "  \n ", "Write a message first."),
        ("model", "", "Choose a model."),
        ("temperature", "3", "less than or equal to 2"),
        ("top_p", "0", "greater than or equal to 0.01"),
        ("max_tokens", "0", "greater than or equal to 1"),
        ("seed", "-1", "greater than or equal to 0"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_stored(
    client: Client, tiny: LocalModel, field: str, value: str, complaint: str
) -> None:
    form = SETTINGS | {"content": "Hello?", "model": tiny.pk, field: value}
    response = client.post("/playground/start/", form)

    assert response.status_code == 422
    assert complaint in response.content.decode()
    assert not Conversation.objects.exists()


def test_a_new_conversation_takes_the_model_used_last(
    client: Client, chat: Conversation, tiny: LocalModel
) -> None:
    other = LocalModel.objects.create(
        slug="a-other", name="A other", digest="d", parameters=1, size_bytes=1, context_length=1
    )
    chosen = client.get("/playground/").context["settings_form"].instance.model
    named = client.get("/playground/?model=a-other").context["settings_form"].instance.model

    assert (chosen, named) == (tiny, other)


# --- adapters -----------------------------------------------------------------


@pytest.fixture
def pirate(tiny: LocalModel) -> Adapter:
    return Adapter.objects.create(base=tiny, slug="pirate", name="Pirate", path="/p", digest="p")


def test_without_adapters_there_is_none_to_choose(client: Client, tiny: LocalModel) -> None:
    assert "adapter" not in client.get("/playground/").context["settings_form"].fields


def test_an_adapter_may_be_chosen_beside_the_model(
    client: Client, engine: FakeEngine, tiny: LocalModel, pirate: Adapter
) -> None:
    form = SETTINGS | {"content": "Ahoy?", "model": tiny.pk, "adapter": pirate.pk}
    client.post("/playground/start/", form)

    answer = finished(Message.objects.get(role=Message.Role.ASSISTANT))
    assert answer.model_name == "Tiny:pirate"
    request = engine.wait_for_call(Generate).request
    assert request.adapter == AdapterSpec(name="pirate", path="/p", digest="p")


def test_an_adapter_over_another_model_is_refused(
    client: Client, chat: Conversation, pirate: Adapter
) -> None:
    other = make_model("other")
    form = SETTINGS | {"model": other.pk, "adapter": pirate.pk}

    response = client.post(url(chat, "settings/"), form, headers=HTMX)

    assert response.status_code == 422
    assert "an adapter over Tiny. Choose that model" in response.content.decode()


def test_an_address_may_name_an_adapter(client: Client, tiny: LocalModel, pirate: Adapter) -> None:
    form = client.get("/playground/?model=tiny:pirate").context["settings_form"]

    assert (form.instance.model, form.instance.adapter) == (tiny, pirate)


# --- going on -----------------------------------------------------------------


def test_a_message_is_answered_with_the_settings_beside_it(
    client: Client, engine: FakeEngine, chat: Conversation, tiny: LocalModel
) -> None:
    form = SETTINGS | {"content": "  indented\r\ntext\r\n", "model": tiny.pk, "temperature": "1.5"}
    response = client.post(url(chat, "send/"), form, headers=HTMX)
    finished(chat.messages.last())
    request = engine.wait_for_call(Generate).request

    assert response.status_code == 200
    assert response.content.decode().lstrip().startswith('<div class="thread"')
    assert 'hx-swap-oob="true"' in response.content.decode()
    assert request.sampling.temperature == 1.5
    assert request.messages[-1].content == "  indented\ntext"


def test_a_second_question_is_refused_beside_the_first(
    client: Client, chat: Conversation, tiny: LocalModel, hanging: Message
) -> None:
    form = SETTINGS | {"content": "Again?", "model": tiny.pk}
    response = client.post(url(chat, "send/"), form, headers=HTMX)

    assert response.status_code == 409
    assert "still being written" in response.content.decode()


def test_a_mistake_in_the_settings_is_told_beside_the_messages(
    client: Client, chat: Conversation, tiny: LocalModel
) -> None:
    form = SETTINGS | {"content": "Hello?", "model": tiny.pk, "temperature": "9"}
    response = client.post(url(chat, "send/"), form, headers=HTMX)

    assert response.status_code == 422
    assert "Temperature: Ensure this value" in response.content.decode()


def test_settings_are_kept_as_they_change(
    client: Client, chat: Conversation, tiny: LocalModel
) -> None:
    form = SETTINGS | {"model": tiny.pk, "system_prompt": "Be brief.", "max_tokens": ""}
    assert client.post(url(chat, "settings/"), form, headers=HTMX).status_code == 204

    chat.refresh_from_db()
    assert (chat.system_prompt, chat.max_tokens) == ("Be brief.", None)


def test_wrong_settings_come_back_with_the_reason(
    client: Client, chat: Conversation, tiny: LocalModel
) -> None:
    form = SETTINGS | {"model": tiny.pk, "top_p": "7"}
    response = client.post(url(chat, "settings/"), form, headers=HTMX)

    assert response.status_code == 422
    assert "less than or equal to 1" in response.content.decode()


def test_a_running_answer_can_be_followed_and_stopped_from_the_page(
    client: Client, chat: Conversation, hanging: Message
) -> None:
    page = client.get(url(chat)).content.decode()

    assert f'data-follow="{message_url(hanging, "events/")}?as=html"' in page
    assert f'action="{message_url(hanging, "stop/")}"' in page
    assert f'href="{url(chat)}#m{hanging.pk}">Refresh' in page


def test_stopping_shows_what_was_said(client: Client, engine: FakeEngine, hanging: Message) -> None:
    response = client.post(message_url(hanging, "stop/"), headers=HTMX)

    engine.wait_for_call(Generate).wait_closed_early()
    assert "Stopped" in response.content.decode()
    assert "data-send" in response.content.decode()


def test_an_interrupted_answer_offers_a_retry(client: Client, engine: FakeEngine, ask: Ask) -> None:
    engine.once(Generate, *reply("The capital", HangUp()))
    answer = ask("Hello?")
    page = client.get(url(answer.conversation)).content.decode()

    assert "The capital" in page
    assert "The answer was cut short" in page
    assert "Retry" in page


def test_an_orphan_is_shown_as_interrupted(client: Client, chat: Conversation) -> None:
    orphan = Message.objects.create(conversation=chat, role="assistant", state=State.RUNNING)
    chat.show(orphan)

    assert "The hub stopped, or could not store" in client.get(url(chat)).content.decode()


def test_the_finished_message_comes_alone(client: Client, ask: Ask) -> None:
    answer = ask("Hello?")
    response = client.get(message_url(answer), headers={"HX-Request": "true"}).content.decode()

    assert response.lstrip().startswith('<article class="turn turn--assistant"')
    assert "TTFT 0.05 s · 20 tok/s · 2 out · 0/12 cached" in response
    assert "data-send" in response


def test_a_message_without_htmx_leads_to_its_place(client: Client, ask: Ask) -> None:
    answer = ask("Hello?")

    response = client.get(message_url(answer))
    assert response["Location"] == f"{url(answer.conversation)}#m{answer.pk}"


# --- versions -----------------------------------------------------------------


def test_answering_again_shows_the_new_version(
    client: Client, engine: FakeEngine, ask: Ask
) -> None:
    first = ask("Hello?")
    response = client.post(message_url(first, "regenerate/"), headers=HTMX)
    finished(first.conversation.messages.last())

    assert "2/2" in response.content.decode()


def test_editing_is_done_in_place(client: Client, ask: Ask) -> None:
    question = ask("Helo?").parent
    assert question is not None
    chat = question.conversation
    form = client.get(f"{url(chat)}?edit={question.pk}", headers=HTMX).content.decode()
    assert f'action="{message_url(question, "edit/")}"' in form

    response = client.post(message_url(question, "edit/"), {"content": "Hello?"})
    chat.refresh_from_db()
    assert response["Location"] == f"{url(chat)}#m{chat.active_leaf_id}"
    finished(chat.messages.last())


def test_an_empty_edit_is_refused(client: Client, ask: Ask) -> None:
    question = ask("Hello?").parent
    response = client.post(message_url(question, "edit/"), {"content": " "})

    assert response.status_code == 422
    assert "Write a message first." in response.content.decode()


def test_an_answer_is_not_edited_and_a_question_not_regenerated(client: Client, ask: Ask) -> None:
    answer = ask("Hello?")

    assert client.post(message_url(answer, "edit/"), {"content": "x"}).status_code == 404
    assert client.post(message_url(answer.parent, "regenerate/")).status_code == 404


def test_versions_can_be_switched(client: Client, engine: FakeEngine, ask: Ask) -> None:
    engine.once(Generate, *reply("First."))
    first = ask("Hello?")
    finished(services.regenerate(answer=first))
    page = client.post(message_url(first, "show/"), headers=HTMX).content.decode()

    assert "First." in page
    assert "1/2" in page


def test_a_retry_without_a_model_says_what_to_do(client: Client, ask: Ask) -> None:
    answer = ask("Hello?")
    Conversation.objects.update(model=None)
    response = client.post(message_url(answer, "regenerate/"), headers=HTMX)

    assert response.status_code == 409
    assert "Choose another one" in response.content.decode()


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


def test_a_new_conversation_begins_with_the_models_defaults(client: Client, db: None) -> None:
    make_model("calm", temperature=0.05, system_prompt="Be calm.", recommended={"top_p": 0.77})

    page = client.get("/playground/", {"model": "calm"}).content.decode()

    assert 'value="0.05"' in page
    assert 'value="0.77"' in page
    assert "Be calm." in page
