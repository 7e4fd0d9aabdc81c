"""A run on several machines: one rank on each, started by ``mlx.launch``.

This process stands between whoever started the run and the ranks: it posts what is wanted in
the run's folder for the first of them, which decides for all. Where they end without a word,
this process has the last one. https://ml-explore.github.io/mlx/build/html/usage/launching_distributed.html
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil

from apps.training.trainer.config import TrainingConfig
from apps.training.trainer.control import Control, PostedControl
from apps.training.trainer.errors import RankLost
from apps.training.trainer.events import Ended, EventLog, Failed, read_events

MODULE = "apps.training.trainer"

HOSTS_FILE = "hosts.json"

_LAUNCH = "from mlx._distributed_utils.launch import main; main()"

_HERE = "127.0.0.1"
"""The address at which mlx.launch starts a process without ssh."""

_PORT = 32323
"""First port of the ranks, where it can't be asked for free ones: mlx.launch's own choice."""

SECONDS = 1.0
"""Between two posts."""

PATIENCE = 10.0
"""Seconds that the other ranks may take to end behind the first."""


def launch(run: Path, config: TrainingConfig, control: Control) -> int:
    """Train on the configuration's hosts; the exit status. The run's last event says how it ended."""
    log = EventLog(run)
    PostedControl.post(run, control.look())
    _, before = read_events(run, 0)
    # The lock on the run's folder that this process was given stays with its children.
    ranks = subprocess.Popen(  # noqa: S603 - MLX's launcher and our own module
        _command(run, config), stdin=subprocess.PIPE, text=True, close_fds=False
    )
    _follow(run, ranks, control)
    told, _ = read_events(run, before)
    if told and isinstance(told[-1], Ended):
        return 0
    if not (told and isinstance(told[-1], Failed)):
        log.tell_last(
            Failed(
                fault=RankLost.kind,
                message=f"One of the {len(config.hosts)} machines of the run ended without a word. "
                "The run's log has what they wrote. Resume the run: it goes on from its newest "
                "checkpoint.",
            )
        )
    return 1


def _follow(run: Path, ranks: subprocess.Popen[str], control: Control) -> None:
    """Tell the ranks what is wanted until they have ended."""
    assert ranks.stdin is not None
    first: psutil.Process | None = None
    late = 0.0
    while ranks.poll() is None:
        with suppress(OSError):  # where the disk is full, the ranks end for want of a post
            PostedControl.post(run, control.look())
        with suppress(BrokenPipeError):
            # mlx.launch turns without rest round inputs that could take something; ranks close
            # theirs, and this lets it notice.
            ranks.stdin.write("\n")
            ranks.stdin.flush()
        with suppress(subprocess.TimeoutExpired):
            ranks.wait(SECONDS)
        first = first or _first_rank(ranks.pid)
        late = late + SECONDS if first is not None and _has_ended(first) else 0.0
        if late >= PATIENCE:
            # Nothing more comes. mlx.launch misses now and then that ranks ended, and waits for
            # ever for one that is stuck.
            _end(ranks)


def _first_rank(launcher: int) -> psutil.Process | None:
    """None as long as it is not there."""
    with suppress(psutil.Error):
        for each in psutil.Process(launcher).children():
            with suppress(psutil.Error):
                if each.environ().get("MLX_RANK") == "0":
                    return each
    return None


def _has_ended(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _end(launcher: subprocess.Popen[str]) -> None:
    with suppress(psutil.Error):
        for each in psutil.Process(launcher.pid).children():
            each.kill()
    launcher.kill()


def _command(run: Path, config: TrainingConfig) -> list[str]:
    hosts = [
        # This machine needs no ssh to itself, whatever address the others reach it by.
        {"ssh": _HERE if first or host == _HERE else host, "ips": [host], "rdma": []}
        for first, host in zip([True] + [False] * len(config.hosts), config.hosts, strict=False)
    ]
    file = run / HOSTS_FILE
    file.write_text(json.dumps(hosts))
    port = _free_ports(len(hosts)) if set(config.hosts) == {_HERE} else _PORT
    return [
        *(sys.executable, "-c", _LAUNCH, "--hostfile", str(file), "--starting-port", str(port)),
        *("--", sys.executable, "-m", MODULE, str(run)),
        *("--ranks", str(len(hosts)), "--patience", str(config.host_timeout)),
    ]


def _free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody here listens on now."""
    for first in range(_PORT, 60_000, count):
        with ExitStack() as stack, suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.create_server((_HERE, port)))
            return first
    raise RankLost(f"No {count} ports in a row are free on this machine.")
