"""Several models answer the same; a vote says which is better."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.inference.engine.protocol import Generate
from apps.models.models import Adapter, LocalModel
from apps.playground import answers
from apps.playground.collecting.rows import rows_of
from apps.playground.compare import services
from apps.playground.compare.models import Column, Comparison
from apps.playground.models import Conversation, Message
from apps.playground.tests.conftest import engine, finished
from tests.engine_scripts import Hang, reply
from tests.fake_engine import FakeEngine
from tests.registry import make_model

__all__ = ["engine"]

HTMX = {"HX-Request": "true", "HX-Target": "thread"}
SETTINGS = {"temperature": "0.3", "top_p": "0.9", "repetition_penalty": "1", "max_tokens": "64"}


@pytest.fixture
def pirate(tiny: LocalModel) -> Adapter:
    return Adapter.objects.create(
        base=tiny, slug="pirate", name="Pirate", path="/adapters/pirate", digest="p"
    )


def form(*names: str, content: str = "Ahoy?", **fields: str) -> dict[str, str]:
    columns = {
        f"c{position}-{name}": value
        for position, model in enumerate(names)
        for name, value in (SETTINGS | {"name": model}).items()
    }
    return columns | {"content": content, "system_prompt": "Be brief."} | fields


@pytest.fixture
def comparison(client: Client, pirate: Adapter, engine: FakeEngine) -> Comparison:
    """Base and adapter, after their first answers."""
    engine.once(Generate, *reply("Hello."))
    engine.once(Generate, *reply("Ahoy!"))
    answer = client.post(reverse("compare:start"), form("tiny", "tiny:pirate"))
    assert answer.status_code == 302
    for message in Message.objects.answers():
        finished(message)
    return Comparison.objects.get()


def answers_of(comparison: Comparison) -> list[Message]:
    """Of the newest question, in the columns' order."""
    question = comparison.conversation.messages.filter(role=Message.Role.USER).last()
    return sorted(
        comparison.conversation.messages.filter(parent=question),
        key=lambda message: message.column_answer.column.position,
    )


def test_each_column_is_asked_with_its_own_model_and_settings(
    client: Client, pirate: Adapter, engine: FakeEngine
) -> None:
    asked = form("tiny", "tiny:pirate", **{"c1-temperature": "1.5"})
    answer = client.post(reverse("compare:start"), asked)
    assert answer["Location"] == Comparison.objects.get().get_absolute_url()
    for message in Message.objects.answers():
        finished(message)
    asked_for = [call.request for call in engine.calls_of(Generate)]
    calls = sorted(asked_for, key=lambda call: call.adapter is not None)
    assert [call.adapter and call.adapter.name for call in calls] == [None, "pirate"]
    assert [call.sampling.temperature for call in calls] == [0.3, 1.5]
    said = [[(each.role, each.content) for each in call.messages] for call in calls]
    assert said == [[("system", "Be brief."), ("user", "Ahoy?")]] * 2


def test_a_vote_makes_a_preference_pair_and_the_chat_goes_on_from_it(
    client: Client, comparison: Comparison, engine: FakeEngine
) -> None:
    worse, better = answers_of(comparison)
    client.post(reverse("compare:vote", args=[better.pk]))
    chat = Conversation.objects.get()
    assert chat.active_leaf == better
    (pair,) = rows_of(chat, list(chat.messages.all()), kind="preference", which="shown")
    assert (pair["chosen"], pair["rejected"]) == (better.content, worse.content)
    engine.calls.clear()
    client.post(reverse("compare:send", args=[comparison.pk]), form("tiny", "tiny:pirate"))
    for message in answers_of(comparison):
        finished(message)
    for call in engine.calls_of(Generate):
        assert call.request.messages[2].content == better.content
    client.post(reverse("compare:vote", args=[worse.pk]))
    better.refresh_from_db()
    assert better.rating == Message.Rating.NONE, "one vote for one question"
    client.post(reverse("compare:vote", args=[worse.pk]))
    worse.refresh_from_db()
    assert worse.rating == Message.Rating.NONE, "it is taken back"


def test_the_address_names_the_columns(client: Client, pirate: Adapter) -> None:
    page = client.get("/compare/?models=tiny,tiny:pirate,tiny,gone").content.decode()
    assert page.count('class="compare__column"') == 3
    named = client.get("/compare/?models=tiny&models=tiny:pirate")
    assert named["Location"] == "/compare/?models=tiny,tiny:pirate"
    alone = client.get("/compare/").content.decode()
    assert alone.count('class="compare__column"') == 2


def test_without_a_model_the_page_says_where_to_get_one(client: Client, db: None) -> None:
    assert "There is no model to compare yet" in client.get("/compare/").content.decode()
    assert client.post(reverse("compare:start"), form("tiny")).status_code == 422


def test_a_running_comparison_is_shown_after_a_reload_and_can_be_stopped(
    client: Client, pirate: Adapter, engine: FakeEngine
) -> None:
    engine.once(Generate, *reply("Hel", Hang()))
    engine.once(Generate, *reply("Aho", Hang()))
    client.post(reverse("compare:start"), form("tiny", "tiny:pirate"))
    one = Comparison.objects.get()
    engine.wait_for_call(Generate, 2)
    shown = client.get(one.get_absolute_url()).content.decode()
    assert shown.count("data-follow=") == 2
    assert "data-stop" in shown
    refused = client.post(reverse("compare:send", args=[one.pk]), form("tiny", "tiny:pirate"))
    assert refused.status_code == 409
    client.post(reverse("compare:stop", args=[one.pk]))
    assert {message.state for message in answers_of(one)} == {Message.State.STOPPED}
    assert not answers._running


def test_the_last_answer_to_end_brings_the_votes(client: Client, comparison: Comparison) -> None:
    first, _ = answers_of(comparison)
    part = client.get(reverse("compare:finished", args=[first.pk]), headers=HTMX)
    shown = part.content.decode()
    assert 'hx-swap-oob="true"' in shown
    assert shown.count("This is better") >= 2
    plain = client.get(reverse("compare:finished", args=[first.pk]))
    assert plain["Location"] == comparison.get_absolute_url()


def test_other_models_may_answer_the_next_question(
    client: Client, comparison: Comparison, engine: FakeEngine
) -> None:
    make_model("other")
    client.post(reverse("compare:send", args=[comparison.pk]), form("other", "tiny"), headers=HTMX)
    for message in answers_of(comparison):
        finished(message)
    assert [column.name for column in comparison.columns.all()] == ["other", "tiny"]
    names = [message.model_name for message in answers_of(comparison)]
    assert names == ["Other", "Tiny"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"content": " "}, "Write a message first."),
        ({"c0-temperature": "9"}, "less than or equal to 2"),
        ({"c1-name": "gone"}, "gone is not on this hub any more."),
    ],
)
def test_mistakes_come_back_with_the_columns(
    client: Client, comparison: Comparison, fields: dict[str, Any], message: str
) -> None:
    asked = form("tiny", "tiny:pirate") | fields
    answer = client.post(reverse("compare:send", args=[comparison.pk]), asked)
    assert answer.status_code == 422
    assert message in answer.content.decode()


def test_a_model_that_is_deleted_meanwhile_is_named_by_its_column(
    client: Client, comparison: Comparison
) -> None:
    Column.objects.filter(position=0).update(model=None)
    assert client.get(comparison.get_absolute_url()).status_code == 200
    with pytest.raises(services.NoModel):
        services.ask(comparison=comparison, content="Ahoy?")
