"""Runs a module as ``python -m`` would, and ends it when the supervisor is gone.

The supervisor holds the other end of this process's standard input and never
writes to it. However the supervisor ends, the kernel closes that end: then this
process gets SIGTERM, and SIGKILL if it is still there GRACE seconds later. That
works on Linux and macOS alike, and needs no process id that could be reused.

Use: ``python -m mlxhub_site.supervisor.child MODULE [ARGUMENT …]``
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

GRACE = 8.0
"""Seconds between SIGTERM and SIGKILL when the supervisor is gone."""


def hold_lifeline() -> None:
    """Watch standard input in a thread, and leave an empty one to the module."""
    lifeline = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    threading.Thread(target=_end_with, args=(lifeline,), name="lifeline", daemon=True).start()


def _end_with(lifeline: int) -> None:
    while os.read(lifeline, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    # The group is ours alone: this takes along what the module started.
    os.killpg(os.getpgrp(), signal.SIGKILL)


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit("usage: python -m mlxhub_site.supervisor.child MODULE [ARGUMENT ...]")
    module = sys.argv[1]
    del sys.argv[1]
    hold_lifeline()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
