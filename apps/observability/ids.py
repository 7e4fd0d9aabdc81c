"""Whose work goes on: the request, job and run that log lines are marked with.

The marks live in context variables. They follow a request through its coroutines and
the threads that Django gives it, are sent along with every call of the engine
(``protocol.requests``), and are told to a trainer by its run.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from structlog.contextvars import bind_contextvars, bound_contextvars, get_contextvars

NAMES = ("request_id", "job", "run")
"""``job`` is the kind and number of a row of apps.jobs, such as "training.trainingjob:12"."""

LONGEST = 64
"""Characters of an id."""

_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:-]{{0,{LONGEST - 1}}}")


def request_id_from(given: str | None) -> str:
    """The caller's own id where it is one that is safe to repeat, else a new one."""
    return given if given and _ID.fullmatch(given) else uuid.uuid4().hex


def current_ids() -> dict[str, str]:
    """The marks of what goes on here; empty where it is nobody's work."""
    marks = get_contextvars()
    return {name: marks[name] for name in NAMES if name in marks}


def current_request_id() -> str:
    """Empty outside a request."""
    return current_ids().get("request_id", "")


@contextmanager
def marked(**ids: str) -> Iterator[None]:
    """Mark every line of the block."""
    with bound_contextvars(**ids):
        yield


def mark(ids: Mapping[str, str]) -> None:
    """Mark every line from here on: for a process, or a task that ends with its work."""
    bind_contextvars(**ids)
