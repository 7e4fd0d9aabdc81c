"""Who acts: known once at the edge, read wherever something is recorded.

The gate says so for pages, the API's middleware for calls. Threads and tasks that serve a
request start with copies of its context. Where nothing was said, it is a command or the
worker, and acts for the account of the operating system that started it.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Literal

ActorKind = Literal["owner", "user", "key", "program", "nobody"]


@dataclass(frozen=True)
class Actor:
    """Who acts, and from where.

    ``owner`` sits at this machine and needed no sign-in; ``program`` is a command or the
    worker; ``nobody`` has not said who it is.
    """

    kind: ActorKind
    name: str = ""
    user_id: int | None = None
    address: str = ""
    owns: bool = False
    """Whether a user or a key has the owner's role."""

    @property
    def may_name_files(self) -> bool:
        """Whether it is theirs to say by path what the hub reads on its machine."""
        return self.owns or self.kind in ("owner", "program")


_current: ContextVar[Actor | None] = ContextVar("actor", default=None)


def current_actor() -> Actor:
    """Who acts now."""
    return _current.get() or Actor("program", _system_account())


def set_actor(actor: Actor | None) -> None:
    """From here on in this context; for what lets requests in."""
    _current.set(actor)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """``actor`` acts inside the block."""
    token = _current.set(actor)
    try:
        yield
    finally:
        _current.reset(token)


@cache
def _system_account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""  # a container's number without a name
