"""Running answers: written by a thread, stored as they grow, ended in every way there is."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from apps.inference.client import EngineClient, EventStream
from apps.inference.engine.protocol import (
    Delta,
    Generate,
    Loading,
    Prefill,
    Prompt,
    Reasoning,
)
from apps.inference.engine.protocol import (
    Message as Said,
)
from apps.playground import answers, services
from apps.playground.models import Conversation, Message
from apps.playground.tests.conftest import Ask, finished, wait_for_text, wait_until
from apps.playground.transcript import Progress
from tests.engine_scripts import Gate, Hang, HangUp, failure, reply
from tests.fake_engine import PATIENCE, FakeEngine

State = Message.State


def begin(chat: Conversation) -> tuple[Message, answers.RunningAnswer]:
    message = services.send(conversation=chat, content="What is the capital of France?")
    running = answers.find(message.pk)
    assert running is not None
    return message, running


def test_a_whole_answer_is_stored_with_its_numbers(engine: FakeEngine, ask: Ask) -> None:
    engine.once(Generate, *reply("The capital", " is Paris.", prompt_tokens=30, cached_tokens=20))
    answer = ask("What is the capital of France?")

    assert answer.content == "The capital is Paris."
    assert answer.state == State.COMPLETE
    assert answer.finish_reason == "stop"
    assert (answer.prompt_tokens, answer.cached_tokens, answer.completion_tokens) == (30, 20, 2)
    assert (answer.ttft, answer.tokens_per_second) == (0.05, 20.0)


def test_thoughts_are_stored_with_the_answer_and_go_back_apart_from_it(
    engine: FakeEngine, ask: Ask
) -> None:
    prompt, prefill, said, done = reply("Paris.")
    thoughts = (Reasoning(text="France has "), Reasoning(text="one."))
    engine.once(Generate, prompt, prefill, *thoughts, said, done)

    answer = ask("What is the capital of France?")
    ask("And of Italy?")

    assert answer.content == "<think>France has one.</think>\n\nParis."
    assert engine.wait_for_call(Generate, 2).request.messages[1] == Said(
        role="assistant", content="Paris.", reasoning="France has one."
    )


def test_text_is_stored_while_it_streams(
    engine: FakeEngine, chat: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "STORE_INTERVAL", 0.01)
    gate, stored = Gate(), []
    original = answers.RunningAnswer._store

    def store(self: answers.RunningAnswer, **fields: object) -> bool:
        stored.append(fields)
        gate.open()
        return original(self, **fields)

    monkeypatch.setattr(answers.RunningAnswer, "_store", store)
    engine.once(Generate, *reply("The capital", gate, " is Paris."))
    message, _ = begin(chat)

    # The gate opens only by a store before the end, so this would not end without one.
    assert finished(message).content == "The capital is Paris."
    assert stored[0] == {"content": "The capital"}


def test_progress_is_told_before_the_first_word(engine: FakeEngine, chat: Conversation) -> None:
    gate = Gate()
    engine.once(
        Generate,
        Loading(model="tiny"),
        Prompt(prompt_tokens=100, cached_tokens=10),
        Prefill(done=60, total=100),
        gate,
        *reply("Paris."),
    )
    message, running = begin(chat)
    wait_until(
        running, lambda: running.transcript.since(0).progress == Progress("reading", 60, 100)
    )
    gate.open()

    assert finished(message).content == "Paris."


def test_stopping_closes_the_engine_call_and_keeps_the_text(
    engine: FakeEngine, chat: Conversation
) -> None:
    engine.once(Generate, *reply("The capital", Hang()))
    message, running = begin(chat)
    wait_for_text(running, "The capital")
    services.stop(answer=message)

    engine.wait_for_call(Generate).wait_closed_early()
    assert message.state == State.STOPPED
    assert message.content == "The capital"
    assert message.error == ""
    assert message.prompt_tokens == 12
    assert message.ttft is not None


def test_stopping_before_the_first_event_works_too(engine: FakeEngine, chat: Conversation) -> None:
    engine.once(Generate, Hang())
    message, _ = begin(chat)
    engine.wait_for_call(Generate)
    services.stop(answer=message)

    assert message.state == State.STOPPED


def test_an_answer_stopped_before_it_starts_never_runs_on(
    engine: FakeEngine, chat: Conversation
) -> None:
    engine.once(Generate, Hang())
    message = Message.objects.create(
        conversation=chat, role=Message.Role.ASSISTANT, state=State.RUNNING
    )
    request = Generate.model_validate(
        {
            "model": {"name": "tiny", "path": "/", "digest": "d"},
            "messages": [{"role": "user", "content": "Hi"}],
        }
    )
    running = answers.RunningAnswer(message.pk, request, services.engine())
    running.stop()
    running.start()

    assert running.wait(PATIENCE)
    message.refresh_from_db()
    assert message.state == State.STOPPED


def test_stopping_an_answer_that_is_over_changes_nothing(ask: Ask) -> None:
    answer = ask("Hello?")
    services.stop(answer=answer)

    assert answer.state == State.COMPLETE


def test_an_engine_that_dies_leaves_the_text_and_says_so(engine: FakeEngine, ask: Ask) -> None:
    engine.once(Generate, *reply("The capital", HangUp()))
    answer = ask("What is the capital of France?")

    assert answer.content == "The capital"
    assert answer.state == State.INTERRUPTED
    assert "engine stopped" in answer.error


def test_the_next_message_works_once_the_engine_is_back(engine: FakeEngine, ask: Ask) -> None:
    engine.once(Generate, HangUp())
    assert ask("What is the capital of France?").state == State.FAILED

    assert ask("And now?").content == "Hello world"


def test_an_engine_that_is_only_starting_is_waited_for(
    engine: FakeEngine, chat: Conversation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(answers, "ENGINE_RETRY_INTERVAL", 0.01)
    client, attempts = services.engine(), []
    absent = EngineClient(tmp_path / "engine.sock")
    present_stream = client.stream

    def stream(request: Generate) -> AbstractContextManager[EventStream]:
        attempts.append(request)
        return absent.stream(request) if len(attempts) < 3 else present_stream(request)

    monkeypatch.setattr(client, "stream", stream)
    monkeypatch.setattr(services, "engine", lambda: client)
    message, _ = begin(chat)

    assert finished(message).content == "Hello world"


def test_waiting_for_an_engine_ends_with_stop(
    transactional_db: None, chat: Conversation, settings: Any, tmp_path: Path
) -> None:
    settings.HUB = settings.HUB.model_copy(update={"home": tmp_path})
    message, _ = begin(chat)
    services.stop(answer=message)

    assert message.state == State.STOPPED


def test_without_an_engine_the_answer_says_what_to_do(
    transactional_db: None,
    chat: Conversation,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answers, "ENGINE_PATIENCE", 0.0)
    settings.HUB = settings.HUB.model_copy(update={"home": tmp_path})
    answer = finished(services.send(conversation=chat, content="Hello?"))

    assert answer.state == State.FAILED
    assert "mlx-hub up" in answer.error


def test_a_refusal_is_stored_beside_the_answer(engine: FakeEngine, ask: Ask) -> None:
    engine.once(Generate, failure("context_length_exceeded", "The prompt is too long."))
    answer = ask("Hello?")

    assert answer.state == State.FAILED
    assert answer.error == "The prompt is too long."


def test_no_connection_to_the_database_is_left_behind(
    engine: FakeEngine, chat: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed_by: list[str] = []
    monkeypatch.setattr(
        type(connections["default"]),
        "close",
        lambda _: closed_by.append(threading.current_thread().name),
    )
    message, _ = begin(chat)
    finished(message)

    assert f"answer-{message.pk}-keep" in closed_by


def test_the_answer_is_findable_exactly_while_it_is_written(
    engine: FakeEngine, chat: Conversation
) -> None:
    gate = Gate()
    engine.once(Generate, gate, *reply("Paris."))
    message, running = begin(chat)
    assert answers.find(message.pk) is running
    gate.open()
    finished(message)

    assert answers.find(message.pk) is None


def test_an_event_that_means_nothing_here_is_passed_over(engine: FakeEngine, ask: Ask) -> None:
    engine.once(Generate, Delta(text="Par"), *reply("is."))

    assert ask("Where?").content == "Paris."
