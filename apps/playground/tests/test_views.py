"""The thread's page and actions, as plain forms and as htmx requests."""

from __future__ import annotations

from django.test import Client

from apps.inference.engine.protocol import Generate
from apps.models.models import LocalModel
from apps.playground import services
from apps.playground.models import Conversation, Message
from apps.playground.tests.addresses import HTMX, SETTINGS, message_url, url
from apps.playground.tests.conftest import Ask, finished
from tests.engine_scripts import HangUp, reply
from tests.fake_engine import FakeEngine

State = Message.State

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
    page = client.get(url(answer.conversation)).content.decode()
    assert '<option value="" selected>Choose a model</option>' in page
    unsaid = client.post(
        url(answer.conversation, "send/"), SETTINGS | {"content": "?", "model": ""}
    )
    assert "Model: Choose a model." in unsaid.content.decode()
