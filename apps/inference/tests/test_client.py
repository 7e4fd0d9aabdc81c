"""The engine client against an engine that hangs: it listens and reads nothing."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.inference import client
from apps.inference.client import AsyncEngineClient, EngineClient, EngineError, EngineUnavailable
from apps.inference.engine.protocol import Generate, GetStatus, Message, ModelSpec

LONG = Generate(
    model=ModelSpec(name="tiny", path="/models/tiny", digest="d"),
    messages=(Message(role="user", content="word " * 1_000_000),),
    client="test",
)
"""Longer than any socket's buffer."""


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The socket of an engine whose process is stopped."""
    monkeypatch.setattr(client, "SEND_TIMEOUT", 0.05)
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener,
    ):
        path = Path(folder) / "engine.sock"
        listener.bind(str(path))
        listener.listen()
        yield path


def test_a_request_that_is_not_read_is_given_up(hung: Path) -> None:
    with pytest.raises(EngineUnavailable, match="no sign"), EngineClient(hung).stream(LONG):
        pytest.fail("There is nobody to answer.")


async def test_a_coroutines_request_that_is_not_read_is_given_up(hung: Path) -> None:
    with pytest.raises(EngineUnavailable, match="no sign"):
        async with AsyncEngineClient(hung).stream(LONG):
            pytest.fail("There is nobody to answer.")


def test_an_answer_of_another_version_is_an_engine_error() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener,
    ):
        path = Path(folder) / "engine.sock"
        listener.bind(str(path))
        listener.listen()
        with EngineClient(path).stream(GetStatus()) as events:
            answering, _ = listener.accept()
            with answering:
                answering.sendall(b'{"event": "from the future"}\n')
                with pytest.raises(EngineError, match="Restart the hub"):
                    next(events)
