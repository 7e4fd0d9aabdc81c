"""One hub per data folder, ports, and what a killed hub leaves behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mlxhub_site.supervisor.instance import ProcessRecord, StartRefused, bound_socket, only_hub

HOLD_LOCK = """
import sys, signal
from pathlib import Path
from mlxhub_site.supervisor.instance import only_hub
with only_hub(Path(sys.argv[1]), address="http://127.0.0.1:1"):
    print("held", flush=True)
    signal.pause()
"""


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        yield process
        process.kill()


def test_a_second_hub_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with (
        only_hub(tmp_path, address="http://127.0.0.1:8080"),
        pytest.raises(StartRefused, match=rf"already runs.*pid {os.getpid()}.*MLXHUB_HOME"),
        only_hub(tmp_path, address="http://127.0.0.1:8081"),
    ):
        pass


def test_the_lock_of_a_killed_hub_does_not_stand_in_the_way(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD_LOCK, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with only_hub(tmp_path, address="http://127.0.0.1:8080"):
        pass


def test_a_busy_port_is_refused_with_a_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with (
            pytest.raises(StartRefused, match=rf"port {port}: .*--port {port + 1}"),
            bound_socket("127.0.0.1", port),
        ):
            pass


def test_a_free_port_is_free_again_afterwards() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for _ in range(2):
        with bound_socket("127.0.0.1", port) as listener:
            assert listener.getsockname() == ("127.0.0.1", port)


def test_nobody_is_accepted_before_a_web_process_listens() -> None:
    with bound_socket("127.0.0.1", 0) as listener, pytest.raises(ConnectionRefusedError):
        socket.create_connection(listener.getsockname())


def test_an_unknown_address_is_refused() -> None:
    with pytest.raises(StartRefused, match=r"192\.0\.2\.1"), bound_socket("192.0.2.1", 8080):
        pass


def test_processes_of_a_killed_hub_are_ended(
    tmp_path: Path, sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlxhub_site.supervisor.instance.ORPHANS_GRACE", 0.1)
    ProcessRecord(tmp_path).add("engine", sleeper.pid)
    said: list[str] = []
    ProcessRecord(tmp_path).end_orphans(said.append)
    assert said == ["Waiting for the processes of a hub that was killed to end."]
    assert sleeper.wait() == -signal.SIGKILL


def test_a_process_that_got_an_old_id_is_spared(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    created = psutil.Process(sleeper.pid).create_time()
    record = {"engine": (sleeper.pid, created - 100.0)}
    (tmp_path / "processes.json").write_text(json.dumps(record))
    ProcessRecord(tmp_path).end_orphans(pytest.fail)
    assert sleeper.poll() is None


def test_a_damaged_record_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "processes.json").write_text("{")
    ProcessRecord(tmp_path).end_orphans(pytest.fail)
