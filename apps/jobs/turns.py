"""One job at a time holds a model in memory: two could take more than the machine has."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.dispatch import Signal

turn_ended = Signal()
"""A command's job gave its turn back; those who wait are to be woken up."""


class AnotherWorks(Exception):
    """Another job of this machine holds a model; this one waits for its turn."""


@contextmanager
def turn_of_its_own() -> Iterator[None]:
    """Let no other job on this machine hold a model meanwhile. Raises AnotherWorks."""
    taken = False
    try:
        with the_turn():
            taken = True
            yield
    finally:
        if taken:
            turn_ended.send(turn_of_its_own)


@contextmanager
def the_turn() -> Iterator[None]:
    """As ``turn_of_its_own``, for the worker, which looks by itself who is next.

    The system releases the lock when the process dies, however it dies.
    """
    with (settings.HUB.data_dir / "run" / "heavy-job.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AnotherWorks(
                "Another job holds a model in memory: a training, conversion or fusion. "
                "This one is next."
            ) from error
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)
