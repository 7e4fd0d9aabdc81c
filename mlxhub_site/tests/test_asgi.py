"""What the web process does before it serves its first page."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest
from django.core.signals import request_started
from django.db import DatabaseError
from django.test import Client

from apps.playground.models import Conversation, Message
from tests.other_process import other_process

pytestmark = pytest.mark.django_db

PAGE = "/models/"
State = Message.State


@pytest.fixture(autouse=True)
def asgi() -> Iterator[ModuleType]:
    """The module as it is when it was just imported; that needs the tests' static files."""
    from mlxhub_site import asgi

    request_started.connect(asgi.settle_answers)
    yield asgi
    request_started.disconnect(asgi.settle_answers)


@pytest.fixture
def orphan() -> Message:
    """An answer that the last web process was writing when it was killed."""
    chat = Conversation.objects.create(title="Capitals")
    return Message.objects.create(
        conversation=chat, role="assistant", state=State.RUNNING, content="The capital"
    )


def test_the_first_request_for_any_page_interrupts_what_nobody_writes(
    client: Client, orphan: Message
) -> None:
    client.get(PAGE)

    orphan.refresh_from_db()
    assert (orphan.state, orphan.content) == (State.INTERRUPTED, "The capital")


def test_later_requests_do_not_look_again(client: Client, orphan: Message) -> None:
    client.get(PAGE)
    Message.objects.update(state=State.RUNNING)

    client.get(PAGE)

    orphan.refresh_from_db()
    assert orphan.is_running


def test_requests_look_again_while_a_process_of_a_killed_hub_still_writes(
    client: Client, orphan: Message
) -> None:
    with other_process() as runner:
        Message.objects.update(runner=runner)
        client.get(PAGE)
        orphan.refresh_from_db()
        assert orphan.is_running

    client.get(PAGE)

    orphan.refresh_from_db()
    assert orphan.state == State.INTERRUPTED


def test_a_database_that_fails_is_asked_again_with_the_next_request(
    client: Client, orphan: Message, asgi: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> int:
        raise DatabaseError("locked")

    with monkeypatch.context() as patch:
        patch.setattr(asgi, "interrupt_orphans", refuse)
        assert client.get(PAGE).status_code == 200

    client.get(PAGE)

    orphan.refresh_from_db()
    assert orphan.state == State.INTERRUPTED
