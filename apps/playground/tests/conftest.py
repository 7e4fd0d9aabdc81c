"""The cast: a conversation with a small model, and an engine that plays a script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from apps.inference.engine.protocol import Generate
from apps.models.models import LocalModel
from apps.playground import answers, services
from apps.playground.models import Conversation, Message
from tests.engine_scripts import Hang, reply
from tests.fake_engine import PATIENCE, FakeEngine


@pytest.fixture
def chat(tiny: LocalModel) -> Conversation:
    """A conversation in which nothing has been said."""
    return Conversation.objects.create(title="Capitals", model=tiny)


@pytest.fixture
def engine(transactional_db: None, fake_engine: FakeEngine) -> Iterator[FakeEngine]:
    """The fake engine; answers that a test leaves running end with the test."""
    yield fake_engine
    for running in list(answers._running.values()):
        running.stop()
        assert running.wait(PATIENCE)


Ask = Callable[[str], Message]


@pytest.fixture
def ask(engine: FakeEngine, chat: Conversation) -> Ask:
    """Asks in ``chat`` and gives the answer once it is over."""

    def _ask(content: str) -> Message:
        return finished(services.send(conversation=chat, content=content))

    return _ask


@pytest.fixture
def hanging(engine: FakeEngine, chat: Conversation) -> Message:
    """An answer in ``chat`` that began and gets no further until it is stopped."""
    engine.once(Generate, *reply("The capital", Hang()))
    answer = services.send(conversation=chat, content="Hello?")
    engine.wait_for_call(Generate)
    return answer


def finished(answer: Message) -> Message:
    """The answer as it is stored once nobody writes it any more."""
    running = answers.find(answer.pk)
    assert running is None or running.wait(PATIENCE), f"{answer!r} goes on."
    answer.refresh_from_db()
    return answer


def wait_for_text(running: answers.RunningAnswer, text: str) -> None:
    """Until exactly this is written."""
    wait_until(running, lambda: running.transcript.text == text)


def wait_until(running: answers.RunningAnswer, condition: Callable[[], bool]) -> None:
    """Until the answer is so; looked at whenever it changes."""
    changed = threading.Event()
    with running.transcript.following(changed.set):
        while not condition():
            assert changed.wait(PATIENCE)
            changed.clear()
