"""The engine behind its socket, in a process of its own, with the tiny model."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from apps.inference.client import AsyncEngineClient, EngineClient, EngineError, EngineUnavailable
from apps.inference.engine import protocol
from apps.inference.engine.tests.harness import chat

ROOT = Path(__file__).resolve().parents[4]
PATIENCE = 60.0


def until(condition):
    """Wait for a condition; what it returned."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError("it did not come true")


def up(client):
    try:
        return client.status()
    except EngineUnavailable:
        return None


@pytest.fixture(scope="module")
def running():
    """An engine process; its folder is short because a socket's path has to be."""
    with tempfile.TemporaryDirectory(prefix="mlxhub-") as folder:
        config = {
            "socket": f"{folder}/engine.sock",
            "prompt_cache": {"directory": f"{folder}/cache"},
            "log_level": "WARNING",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "apps.inference.engine", "--config", json.dumps(config)],
            cwd=ROOT,
        )
        client = EngineClient(Path(config["socket"]))
        try:
            until(lambda: up(client))
            yield client, process
        finally:
            process.terminate()
            assert process.wait(PATIENCE) == 0
            assert not client.socket_path.exists()


@pytest.fixture
def client(running):
    return running[0]


def idle(client):
    status = client.status()
    return status.active == 0 and status.queued == 0


def test_the_socket_is_its_owners_alone(client):
    assert stat.S_IMODE(client.socket_path.stat().st_mode) == 0o600


def test_a_call_streams_its_events_and_ends(client, tiny):
    with client.stream(chat(tiny, "hello")) as events:
        kinds = [event.event for event in events]
    assert kinds[0] in {"loading", "prompt"}
    assert kinds[-1] == "done"


async def test_the_asynchronous_client_gets_the_same(client, tiny):
    other = AsyncEngineClient(client.socket_path)
    async with other.stream(chat(tiny, "hello")) as events:
        text = "".join([event.text async for event in events if event.event == "delta"])
    with client.stream(chat(tiny, "hello")) as events:
        assert text == "".join(event.text for event in events if event.event == "delta")


def test_closing_the_connection_frees_the_engine(client, tiny):
    with client.stream(chat(tiny, "hello", max_tokens=450, temperature=1.0)) as events:
        next(event for event in events if event.event in {"delta", "prefill"})
    until(lambda: idle(client))


def test_the_status_tells_of_completed_steps(client, tiny):
    before = client.status().steps
    client.call(chat(tiny, "hello"), protocol.Done)
    until(lambda: client.status().steps > before)
    status = client.status()
    assert status.last_step_age is not None
    assert [model.name for model in status.models] == ["tiny"]


def test_memory_is_held_for_as_long_as_a_call_is_open(client):
    with client.stream(protocol.HoldMemory(name="Training 1", bytes=1000)) as events:
        assert next(events) == protocol.Held()
        held = until(lambda: client.status().held)
        assert held == (protocol.HeldMemory(name="Training 1", bytes=1000),)
    until(lambda: not client.status().held)


def test_more_memory_than_there_is_can_not_be_held(client):
    with (
        client.stream(protocol.HoldMemory(name="Training 1", bytes=2**60)) as events,
        pytest.raises(EngineError, match="Training 1 needs") as refusal,
    ):
        next(events)
    assert refusal.value.code == "insufficient_memory"


def test_a_failure_is_raised_with_its_code(client, tiny):
    with pytest.raises(EngineError) as failure:
        client.call(protocol.EvictCache(entry_id="missing"), protocol.Evicted)
    assert failure.value.code == "cache_entry_not_found"


@pytest.mark.parametrize("line", [b"not json\n", b'{"op": "nonsense"}\n', b"{}\n", b"\xff\xfe\n"])
def test_a_malformed_request_is_refused_and_harms_nobody(client, line):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(client.socket_path))
        connection.sendall(line)
        answer = protocol.decode_event(connection.makefile("rb").readline())
    assert answer.code == "invalid_request"
    assert client.status()


def test_callers_that_leave_at_once_leave_nothing_behind(client, tiny):
    for i in range(20):
        with client.stream(chat(tiny, f"caller {i}", max_tokens=200)):
            pass
    until(lambda: idle(client))
    assert sum(model.live_kv_bytes for model in client.status().models) == 0


def test_without_an_engine_the_client_says_how_to_start_one(tmp_path):
    with pytest.raises(EngineUnavailable, match="mlx-hub up"):
        EngineClient(tmp_path / "nothing.sock").status()


def test_an_engine_killed_in_mid_answer_is_reported(tiny, tmp_path_factory):
    with tempfile.TemporaryDirectory(prefix="mlxhub-") as folder:
        config = {"socket": f"{folder}/e.sock", "prompt_cache": {"directory": f"{folder}/cache"}}
        process = subprocess.Popen(
            [sys.executable, "-m", "apps.inference.engine", "--config", json.dumps(config)],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )
        client = EngineClient(Path(config["socket"]))
        until(lambda: up(client))
        with client.stream(chat(tiny, "hello", max_tokens=450, temperature=1.0)) as events:
            next(event for event in events if event.event == "prompt")
            os.kill(process.pid, signal.SIGKILL)
            process.wait(PATIENCE)
            with pytest.raises(EngineUnavailable, match="stopped while it was answering"):
                list(events)
