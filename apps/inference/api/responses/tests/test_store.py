"""Responses that are kept: found, gone on from, forgotten, and nobody else's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.inference.api.responses.models import StoredResponse
from apps.inference.api.responses.tasks import forget_unused_responses
from apps.inference.engine.protocol import Generate, Message
from apps.inference.keys.services import create_key
from apps.inference.tests.conftest import Answer, Caller
from apps.models.models import LocalModel
from tests.engine_scripts import HangUp, reply
from tests.fake_engine import FakeEngine

URL = "/v1/responses"


@pytest.fixture(autouse=True)
def _hub(tiny: LocalModel, fake_engine: FakeEngine) -> None:
    """Every test has a model and an engine."""


def ask(call: Caller, text: Any = "Hi", **fields: Any) -> Answer:
    return call("POST", URL, {"model": "tiny", "input": text} | fields)


def messages(fake_engine: FakeEngine, number: int) -> tuple[Message, ...]:
    asked: tuple[Message, ...] = fake_engine.wait_for_call(Generate, number).request.messages
    return asked


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_is_kept_as_it_was_answered(call: Caller, stream: bool) -> None:
    ask(call, stream=stream)

    kept = StoredResponse.objects.get()
    found = call("GET", f"{URL}/{kept.pk}")
    assert found.status == 200
    assert found.json["output"][0]["content"][0]["text"] == "Hello world"


def test_a_response_is_not_kept_where_that_is_not_wanted(call: Caller) -> None:
    assert ask(call, store=False).json["store"] is False

    assert not StoredResponse.objects.exists()


def test_nothing_is_kept_where_the_owner_wants_nothing_kept(call: Caller, settings: Any) -> None:
    settings.HUB = settings.HUB.model_copy(update={"stored_response_days": 0})

    assert ask(call).status == 200

    assert not StoredResponse.objects.exists()


def test_an_answer_that_broke_off_is_not_kept(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("Hel", HangUp()))

    ask(call, stream=True)

    assert not StoredResponse.objects.exists()


def test_a_conversation_goes_on_over_several_responses(
    call: Caller, fake_engine: FakeEngine
) -> None:
    first = ask(call, "One", instructions="Be brief.").json["id"]
    second = ask(call, "Two", previous_response_id=first).json["id"]

    ask(call, "Three", previous_response_id=second)

    assert [each.content for each in messages(fake_engine, 3)] == [
        "One",
        "Hello world",
        "Two",
        "Hello world",
        "Three",
    ]


def test_two_responses_can_go_on_from_one(call: Caller, fake_engine: FakeEngine) -> None:
    first = ask(call, "One").json["id"]

    ask(call, "Two", previous_response_id=first)
    ask(call, "Three", previous_response_id=first)

    assert [each.content for each in messages(fake_engine, 3)] == ["One", "Hello world", "Three"]


def test_an_item_is_referred_to_by_its_id(call: Caller, fake_engine: FakeEngine) -> None:
    first = ask(call, "One").json
    (given,) = call("GET", f"{URL}/{first['id']}/input_items").json["data"]
    references = [
        {"type": "item_reference", "id": item_id}
        for item_id in (given["id"], first["output"][0]["id"])
    ]

    answer = ask(call, [*references, {"role": "user", "content": "Two"}])

    assert answer.status == 200
    assert [each.content for each in messages(fake_engine, 2)] == ["One", "Hello world", "Two"]


def test_input_items_come_in_pages(call: Caller) -> None:
    made = ask(call, [{"role": "user", "content": text} for text in "abc"]).json["id"]
    address = f"{URL}/{made}/input_items"

    page = call("GET", f"{address}?limit=2").json
    rest = call("GET", f"{address}?limit=2&after={page['last_id']}").json
    upwards = call("GET", f"{address}?order=asc").json

    texts = [item["content"][0]["text"] for item in page["data"] + rest["data"]]
    assert texts == ["c", "b", "a"]
    assert (page["has_more"], rest["has_more"]) == (True, False)
    assert [item["content"][0]["text"] for item in upwards["data"]] == ["a", "b", "c"]


def test_a_deleted_response_is_gone(call: Caller) -> None:
    made = ask(call).json["id"]

    deleted = call("DELETE", f"{URL}/{made}")

    assert deleted.json == {"id": made, "object": "response", "deleted": True}
    assert call("GET", f"{URL}/{made}").status == 404
    assert call("DELETE", f"{URL}/{made}").status == 404
    answer = ask(call, previous_response_id=made)
    assert (answer.status, answer.error["code"]) == (400, "previous_response_not_found")


def test_no_key_sees_what_another_had_kept(call: Caller) -> None:
    keys = [create_key(name=name)[1] for name in ("ada", "bob")]
    ada, bob = ({"Authorization": f"Bearer {key}"} for key in keys)
    made = call("POST", URL, {"model": "tiny", "input": "Hi"}, **ada).json

    assert call("GET", f"{URL}/{made['id']}", **ada).status == 200
    assert call("GET", f"{URL}/{made['id']}", **bob).status == 404
    assert call("GET", f"{URL}/{made['id']}").status == 404
    assert call("DELETE", f"{URL}/{made['id']}", **bob).status == 404
    body = {"model": "tiny", "input": "Hi", "previous_response_id": made["id"]}
    assert call("POST", URL, body, **bob).status == 400
    item = {"type": "item_reference", "id": made["output"][0]["id"]}
    assert call("POST", URL, {"model": "tiny", "input": [item]}, **bob).status == 400


def test_what_nobody_goes_on_from_is_forgotten(call: Caller) -> None:
    old, used, last = (ask(call).json["id"] for _ in range(3))
    long_ago = timezone.now() - timedelta(days=31)
    StoredResponse.objects.filter(pk__in=[old, used]).update(used_at=long_ago)
    ask(call, previous_response_id=used)

    forget_unused_responses.call_local()

    assert not StoredResponse.objects.filter(pk=old).exists()
    assert StoredResponse.objects.filter(pk__in=[used, last]).count() == 2
