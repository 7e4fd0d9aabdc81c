"""An answer that another process writes can be followed and stopped from this one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import reverse

from apps.playground import services
from apps.playground.models import Conversation, Message
from tests.hub_process import until
from tests.other_process import other_process


@pytest.fixture
def elsewhere() -> Iterator[str]:
    with other_process() as name:
        yield name


@pytest.fixture
def answer(transactional_db: None, chat: Conversation, elsewhere: str) -> Message:
    return Message.objects.create(
        conversation=chat,
        role=Message.Role.ASSISTANT,
        state=Message.State.RUNNING,
        content="The capital",
        runner=elsewhere,
    )


def store(answer: Message, **fields: object) -> None:
    Message.objects.filter(pk=answer.pk).update(**fields)


def test_it_is_no_orphan_until_its_process_is_gone(answer: Message, elsewhere: str) -> None:
    assert services.interrupt_orphans(among=[answer]) == 0
    gone = elsewhere.rsplit(":", 1)[0] + ":1.00"
    store(answer, runner=gone)
    answer.refresh_from_db()
    assert services.interrupt_orphans(among=[answer]) == 1


def test_it_is_followed_as_it_is_stored(answer: Message) -> None:
    response = Client().get(reverse("playground:events", args=[answer.pk]))
    stream = iter(response)
    seen = b""
    while b"The capital" not in seen:
        seen += next(stream)
    store(answer, content="The capital is Paris.", state=Message.State.COMPLETE)
    rest = b"".join(stream)
    assert b" is Paris." in rest
    assert b"event: end" in rest


def test_stopping_it_asks_its_process(answer: Message) -> None:
    from threading import Thread

    def its_process() -> None:
        until(lambda: Message.objects.get(pk=answer.pk).stop_asked)
        store(answer, state=Message.State.STOPPED)

    thread = Thread(target=its_process)
    thread.start()
    services.stop(answer=answer)
    thread.join()
    assert answer.state == Message.State.STOPPED


def test_an_answer_here_stops_when_another_process_asks(hanging: Message) -> None:
    store(hanging, stop_asked=True)
    until(lambda: _state(hanging) == "stopped")


def _state(message: Message) -> str:
    return Message.objects.get(pk=message.pk).state
