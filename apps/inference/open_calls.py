"""The engine calls that this process waits for, so that one which has to end can end them well.

Whoever reads a call that was ended here gets HubStopping, and tells its own caller so:
a stream closes with an event that says why, instead of a connection that breaks off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

_open: dict[asyncio.StreamWriter, bool] = {}
"""Whether each was ended here."""


@contextmanager
def known(call: asyncio.StreamWriter) -> Iterator[None]:
    """Keep the call in mind while it is open."""
    _open[call] = False
    try:
        yield
    finally:
        del _open[call]


def was_ended(call: asyncio.StreamWriter) -> bool:
    """Whether it broke off because this process ends."""
    return _open.get(call, False)


def end_open_calls() -> int:
    """End them all; how many there were. Call it in the event loop that reads them."""
    for call in _open:
        _open[call] = True
        call.transport.abort()
    return len(_open)
