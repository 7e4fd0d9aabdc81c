"""The work process as the worker sees it: started, listened to, ended."""

from __future__ import annotations

import contextlib
import logging
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import IO

from django.conf import settings
from pydantic import ValidationError

from apps.models.errors import WorkFailed
from apps.models.runtime.staging import remove_abandoned
from apps.models.runtime.work.events import (
    Event,
    Failed,
    Figures,
    Finished,
    Progress,
    event_adapter,
)
from apps.models.runtime.work.orders import Order

logger = logging.getLogger(__name__)

Tell = Callable[[str, float], None]
"""Takes the present stage and how far the order is, 0.0 to 1.0. What it raises ends the work."""

MODULE = "apps.models.runtime.work"

LISTEN_SECONDS = 0.5
"""Silence after which the job is asked whether it is to end."""

GRACE_SECONDS = 5.0
"""Between asking the process to end and ending it."""

LOG_NAME = "model-work.log"


def carry_out(order: Order, report: Tell) -> Figures:
    """Have a process of its own carry out ``order``; what it measured.

    Whatever ``report`` raises ends the process. Raises WorkFailed.
    """
    latest = Progress(doing="starting", fraction=0.0)
    with _started(order) as events:
        while True:
            report(latest.doing, latest.fraction)
            try:
                event = events.get(timeout=LISTEN_SECONDS)
            except queue.Empty:
                continue
            match event:
                case Progress():
                    latest = event
                case Finished():
                    return event.figures
                case Failed():
                    raise WorkFailed(event.message)
                case None:
                    raise WorkFailed(
                        "The process that did the work ended without a word, most likely for "
                        f"want of memory. Unload models, then start it again; {LOG_NAME} in the "
                        "data folder's logs may tell more."
                    )


@contextlib.contextmanager
def _started(order: Order) -> Iterator[queue.Queue[Event | None]]:
    """The events of a process that works on ``order``; None is the last. It ends with the block."""
    events: queue.Queue[Event | None] = queue.Queue()
    with (settings.HUB.logs_dir / LOG_NAME).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
            [sys.executable, "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    listener = threading.Thread(target=_listen, args=(process.stdout, events), daemon=True)
    listener.start()
    try:
        # Its input stays open: the process ends when the worker does, however that ends.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(f"{order.model_dump_json()}\n".encode())
            process.stdin.flush()
        yield events
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        listener.join()
        process.stdout.close()
        # It was told to end at once, whatever it had written by then.
        remove_abandoned(order.destination.parent)


def _listen(lines: IO[bytes], events: queue.Queue[Event | None]) -> None:
    try:
        for line in lines:
            if line.endswith(b"\n"):  # the last line of a process that was killed may be half
                events.put(event_adapter.validate_json(line))
    except ValidationError:
        logger.exception("The process for work on models said what is no event.")
    finally:
        events.put(None)
