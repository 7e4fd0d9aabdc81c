"""Several models answer the same; a vote says which is better."""

from __future__ import annotations

import re
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
from tests.engine_scripts import Hang, HangUp, reply
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


def chosen(page: str) -> list[str]:
    """The models of a page's columns."""
    return re.findall(r'<option value="([^"]+)" selected', page)


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
    unnamed = client.get("/compare/").content.decode()
    assert chosen(unnamed) == ["tiny", "tiny:pirate"]
    assert "This hub has one model" not in unnamed


def test_with_one_model_the_page_says_what_there_is_to_compare(
    client: Client, tiny: LocalModel
) -> None:
    page = client.get("/compare/").content.decode()
    assert chosen(page) == ["tiny", "tiny"]
    assert "This hub has one model" in page


def test_a_column_more_or_fewer_keeps_what_is_typed(client: Client, pirate: Adapter) -> None:
    make_model("other")
    typed = form("tiny:pirate", "tiny", content="Whither?", **{"c0-temperature": "1.7"})
    page = client.post("/compare/", typed | {"columns": "more"}).content.decode()
    assert chosen(page) == ["tiny:pirate", "tiny", "other"]
    for kept in ('value="1.7"', "Whither?</textarea>", "Be brief.</textarea>"):
        assert kept in page
    three = form("tiny:pirate", "tiny", "other", content="")
    page = client.post("/compare/", three | {"columns": "fewer"}).content.decode()
    assert chosen(page) == ["tiny:pirate", "tiny"]
    assert "Write a message first." not in page


def test_without_a_model_the_page_says_where_to_get_one(client: Client, db: None) -> None:
    assert "There is no model to compare yet" in client.get("/compare/").content.decode()
    assert client.post(reverse("compare:start"), form("tiny")).status_code == 422


def test_a_model_that_is_gone_is_not_left_out_in_silence(client: Client, tiny: LocalModel) -> None:
    answer = client.post(reverse("compare:start"), form("tiny", "gone"))
    assert answer.status_code == 422
    assert "is not on this hub any more, so nothing was asked" in answer.content.decode()
    assert not Comparison.objects.exists()


@pytest.mark.parametrize("said", [(), ("Aho",)])
def test_a_column_that_fell_short_is_asked_again_alone(
    client: Client, pirate: Adapter, engine: FakeEngine, said: tuple[str, ...]
) -> None:
    engine.once(Generate, *reply("Hello."))
    engine.once(Generate, *reply(*said, HangUp()))
    client.post(reverse("compare:start"), form("tiny", "tiny:pirate"))
    one = Comparison.objects.get()
    for message in answers_of(one):
        finished(message)
    (short,) = (message for message in answers_of(one) if message.fell_short)
    retry = reverse("compare:retry", args=[short.pk])
    assert client.get(one.get_absolute_url()).content.decode().count(f'action="{retry}"') == 1
    engine.once(Generate, *reply("Ahoy!"))

    shown = client.post(retry, headers=HTMX).content.decode()

    assert shown.count("<article") == 3, "a question and an answer for each column"
    again = Message.objects.get(column_answer__column=short.column_answer.column)
    assert finished(again).content == "Ahoy!"
    assert again.model_name == short.model_name
    assert Message.objects.filter(pk=short.pk).exists() == bool(said), "what was said is kept"
    assert client.post(retry).status_code == 404


def test_a_column_whose_model_is_gone_is_asked_again_with_the_one_chosen_then(
    client: Client, comparison: Comparison
) -> None:
    make_model("other")
    first, _ = answers_of(comparison)
    Message.objects.filter(pk=first.pk).update(state=Message.State.FAILED, content="")
    Column.objects.filter(position=0).update(model=None)
    retry = reverse("compare:retry", args=[first.pk])
    assert "Choose another one" in client.post(retry, headers=HTMX).content.decode()
    wrong = form("other", "tiny", **{"c0-top_p": "7"})
    assert client.post(retry, wrong, headers=HTMX).status_code == 422
    assert client.post(retry, form("other", "tiny"), headers=HTMX).status_code == 200
    assert finished(answers_of(comparison)[0]).model_name == "Other"


def test_the_next_question_goes_on_from_a_column_that_answered(
    client: Client, comparison: Comparison
) -> None:
    first, second = answers_of(comparison)
    Message.objects.filter(pk=first.pk).update(state=Message.State.FAILED, content="")
    client.post(reverse("compare:send", args=[comparison.pk]), form("tiny", "tiny:pirate"))
    for message in answers_of(comparison):
        assert finished(message).parent.parent == second


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
