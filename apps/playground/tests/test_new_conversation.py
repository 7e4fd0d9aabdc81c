"""A new conversation: the first message, its model, adapter and settings."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.inference.engine.protocol import AdapterSpec, Generate
from apps.models.models import Adapter, LocalModel
from apps.playground.models import Conversation, Message
from apps.playground.tests.addresses import HTMX, SETTINGS, url
from apps.playground.tests.conftest import finished
from tests.fake_engine import FakeEngine
from tests.registry import make_model

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


def test_a_new_conversation_begins_with_the_models_defaults(client: Client, db: None) -> None:
    make_model("calm", temperature=0.05, system_prompt="Be calm.", recommended={"top_p": 0.77})

    page = client.get("/playground/", {"model": "calm"}).content.decode()

    assert 'value="0.05"' in page
    assert 'value="0.77"' in page
    assert "Be calm." in page


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
