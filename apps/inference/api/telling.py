"""Telling an answer while it is made: the frame of every dialect's event stream.

    generation.answers ⇢ events → Teller → server-sent lines

The engine call is held open for exactly as long as the HTTP request lasts:
whatever ends the generator closes it, and with it the work in the engine.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

from apps.inference.api import sse
from apps.inference.api.errors import Problem, internal_problem, problem_of
from apps.inference.api.generation import answers
from apps.inference.client import AsyncEngineClient, EngineError
from apps.inference.engine.protocol import Event, Generate

logger = logging.getLogger(__name__)

KEEP_ALIVE = 10.0
"""Seconds of silence after which a stream is given a sign of life."""


class Teller(Protocol):
    """What the events of a request's answers become on the wire, in one dialect."""

    def heard(self, index: int, event: Event) -> list[bytes]:
        """``index`` tells which of the answers, from 0."""
        ...

    def silence(self) -> list[bytes]:
        """A sign of life."""
        ...

    async def over(self) -> list[bytes]:
        """After the last event. Raises EngineError where an answer has no end."""
        ...

    def failed(self, problem: Problem) -> list[bytes]:
        """Nothing follows."""
        ...


async def told(
    engine: AsyncEngineClient, requests: Sequence[Generate], teller: Teller
) -> AsyncGenerator[bytes, None]:
    """The answers' lines. Raises EngineError before the first of them only.

    That comes when a prompt is admitted, or after KEEP_ALIVE seconds of waiting for
    that. A later error is told to the client in the stream.
    """
    begun = False
    try:
        async with (
            answers(engine, requests) as events,
            aclosing(sse.with_pauses(events, KEEP_ALIVE)) as heard,
        ):
            async for numbered in heard:
                lines = teller.silence() if numbered is None else teller.heard(*numbered)
                for line in lines:
                    begun = True
                    yield line
        for line in await teller.over():
            yield line
    except Exception as error:  # the status is sent: whatever it is, the stream has to tell it
        if not begun:
            raise
        if not isinstance(error, EngineError):
            logger.exception("A stream broke off.")
        for line in teller.failed(_problem(error)):
            yield line


def _problem(error: Exception) -> Problem:
    return problem_of(error) if isinstance(error, EngineError) else internal_problem()
