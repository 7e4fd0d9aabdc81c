"""Another process of this machine, which does nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from apps.jobs.models import this_process


@contextmanager
def other_process() -> Iterator[str]:
    """Its name, as ``Message.runner`` and a job have it; it is dead after the block."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        host, _, _ = this_process().rsplit(":", 2)
        created = psutil.Process(process.pid).create_time()
        try:
            yield f"{host}:{process.pid}:{created:.2f}"
        finally:
            process.kill()
