"""Connections to the real server: kept alive in silence, and given up with the caller."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from apps.inference.api import telling
from apps.inference.engine.protocol import Generate, Loading, Prefill, Prompt, Warm
from apps.inference.tests.conftest import Hub
from apps.inference.tests.sockets import post
from apps.models.models import LocalModel
from tests.engine_scripts import Gate, Hang, reply
from tests.fake_engine import PATIENCE, FakeEngine

WARMUP = "/admin/cache/prompts/warmup"
CHAT = "/v1/chat/completions"


@pytest.fixture(autouse=True)
def _cast(tiny: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model, and no comments into a silence: they would find out too that nobody listens."""
    monkeypatch.setattr(telling, "KEEP_ALIVE", 10 * PATIENCE)


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]} | fields


def read_until(connection: socket.socket, mark: bytes) -> None:
    received = b""
    while mark not in received:
        part = connection.recv(65536)
        assert part, f"The answer ended without {mark!r}: {received!r}"
        received += part


def test_a_stream_begins_although_the_engine_is_silent(
    hub: Hub, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "KEEP_ALIVE", 0.01)
    gate = Gate()
    fake_engine.once(Generate, Loading(model="tiny"), gate, *reply("Par", "is."))

    with post(hub, CHAT, chat(stream=True)) as connection:
        read_until(connection, b": waiting")
        gate.open()
        read_until(connection, b"[DONE]")


def test_leaving_a_stream_ends_the_engine_call(hub: Hub, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("Par", Hang()))
    connection = post(hub, CHAT, chat(stream=True))
    read_until(connection, b'"content":"Par"')

    connection.close()

    fake_engine.wait_for_call(Generate).wait_closed_early()


def test_leaving_while_a_stream_is_prefilled_ends_the_engine_call(
    hub: Hub, fake_engine: FakeEngine
) -> None:
    fake_engine.once(
        Generate, Prompt(prompt_tokens=9, cached_tokens=0), Prefill(done=4, total=9), Hang()
    )
    connection = post(hub, CHAT, chat(stream=True))
    read_until(connection, b": prefill 4/9")

    connection.close()

    fake_engine.wait_for_call(Generate).wait_closed_early()


def test_leaving_before_a_stream_has_begun_ends_the_engine_call(
    hub: Hub, fake_engine: FakeEngine
) -> None:
    fake_engine.once(Generate, Loading(model="tiny"), Hang())
    connection = post(hub, CHAT, chat(stream=True))
    call = fake_engine.wait_for_call(Generate)

    connection.close()

    call.wait_closed_early()


def test_leaving_a_whole_answer_ends_the_engine_call(hub: Hub, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("Par", Hang()))
    connection = post(hub, CHAT, chat())
    call = fake_engine.wait_for_call(Generate)

    connection.close()

    call.wait_closed_early()


def test_leaving_a_warm_up_ends_the_engine_call(hub: Hub, fake_engine: FakeEngine) -> None:
    fake_engine.once(Warm, Hang())
    connection = post(hub, WARMUP, {"system_prompt": "Be brief."})
    call = fake_engine.wait_for_call(Warm)

    connection.close()

    call.wait_closed_early()


def test_others_are_answered_after_somebody_left(hub: Hub, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("Par", Hang()))
    connection = post(hub, CHAT, chat())
    call = fake_engine.wait_for_call(Generate)
    connection.close()
    call.wait_closed_early()

    with post(hub, CHAT, chat()) as other:
        read_until(other, b"Hello world")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("n", [1, 3])
def test_leaving_while_the_answer_begins_ends_every_engine_call(
    hub: Hub, fake_engine: FakeEngine, stream: bool, n: int
) -> None:
    """The moment between the first event and the response's first byte is the tricky one."""
    fake_engine.always(Generate, *reply("Par", Hang()))
    for attempt in range(5):
        connection = post(hub, CHAT, chat(stream=stream, n=n))
        numbers = range(attempt * n + 1, attempt * n + n + 1)
        calls = [fake_engine.wait_for_call(Generate, number) for number in numbers]

        connection.close()

        for call in calls:
            call.wait_closed_early()
