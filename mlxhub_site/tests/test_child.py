"""Processes must not outlive the supervisor, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from mlxhub_site.supervisor.instance import wait_for_end

LAUNCHER = (sys.executable, "-m", "mlxhub_site.supervisor.child")


@pytest.fixture
def modules(tmp_path: Path) -> dict[str, str]:
    """An environment in which the tests' own modules can be imported."""
    (tmp_path / "waits.py").write_text(
        "import signal\nprint('up', flush=True)\nwhile True: signal.pause()\n"
    )
    (tmp_path / "tells.py").write_text(
        "import sys\nprint(__name__, sys.argv[1:], repr(sys.stdin.read()))\n"
    )
    (tmp_path / "supervises.py").write_text(
        "import subprocess, sys\n"
        f"child = subprocess.Popen([*{LAUNCHER!r}, 'waits'], stdin=subprocess.PIPE,\n"
        "    stdout=subprocess.PIPE, start_new_session=True)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


def test_a_module_runs_as_main_with_its_arguments_and_an_empty_input(
    modules: dict[str, str],
) -> None:
    with subprocess.Popen(
        [*LAUNCHER, "tells", "one", "two"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=modules,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read() == "__main__ ['one', 'two'] ''\n"


def test_a_process_ends_when_its_supervisor_is_killed(modules: dict[str, str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "supervises"], stdout=subprocess.PIPE, env=modules, text=True
    ) as supervisor:
        assert supervisor.stdout is not None
        child = psutil.Process(int(supervisor.stdout.readline()))
        os.kill(supervisor.pid, signal.SIGKILL)
        assert wait_for_end([child]) == []
