"""Calls to the engine, some at a time: it batches what base and adapters are asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass

from apps.inference.client import EngineClient, EngineError, EventStream
from apps.inference.engine.protocol import (
    Delta,
    Done,
    Event,
    Generate,
    Message,
    PromptTokens,
    Sampling,
)
from apps.inference.services import NamedModel
from apps.training.evaluation.errors import BadEvaluation

AT_ONCE = 8
"""Calls side by side: half of a batch of the default size is left to whoever chats."""

LOOK_SECONDS = 0.5
"""How often the caller gets its turn while calls go on."""

CLIENT = "evaluation"
"""Name under which the engine's fair queue knows these calls."""

_OF_ONE_ROW = {"context_length_exceeded", "chat_template_failed"}
"""Refusals that say nothing about the other rows."""


@dataclass(frozen=True)
class Likelihood:
    """How likely a text was: ``loss`` is the mean of -ln p over its ``tokens``."""

    loss: float
    tokens: int


@dataclass(frozen=True)
class Said:
    text: str


@dataclass(frozen=True)
class Refused:
    """The engine does not take this row."""

    why: str


Outcome = Likelihood | Said | Refused


@dataclass(frozen=True)
class Asked:
    """One call: a conversation to answer, or tokens whose end is to be judged."""

    row: int
    subject: int
    model: NamedModel
    messages: tuple[Message, ...] = ()
    tokens: tuple[int, ...] = ()
    learnt_from: int = 0
    """Index of the first token that counts."""
    max_tokens: int = 1

    @property
    def request(self) -> Generate:
        greedy = Sampling(
            temperature=0.0,
            max_tokens=self.max_tokens,
            logprobs=0 if self.tokens else None,
        )
        return Generate(
            model=self.model.spec,
            adapter=self.model.adapter_spec,
            messages=self.messages,
            prompt=self.tokens or None,
            score_prompt=bool(self.tokens),
            sampling=greedy,
            client=CLIENT,
            priority="batch",
        )


class Asking:
    """A block in which calls are made; leaving it ends those that are open."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="evaluation")
        self._lock = threading.Lock()
        self._open: set[EventStream] = set()
        self._over = False

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._over = True
            for stream in self._open:
                stream.cancel()
        self._pool.shutdown(cancel_futures=True)

    def outcomes(self, calls: Iterator[Asked]) -> Iterator[tuple[Asked, Outcome] | None]:
        """What each call came to, in the order of their ends; None while none has ended.

        Raises EngineError.
        """
        under_way: dict[Future[Outcome], Asked] = {}
        while True:
            while len(under_way) < AT_ONCE and (call := next(calls, None)) is not None:
                under_way[self._pool.submit(self._outcome, call)] = call
            if not under_way:
                return
            ended, _ = wait(under_way, LOOK_SECONDS, FIRST_COMPLETED)
            if not ended:
                yield None
            for future in ended:
                yield under_way.pop(future), future.result()

    def _outcome(self, call: Asked) -> Outcome:
        try:
            return self._heard(call)
        except EngineError as error:
            if error.code in _OF_ONE_ROW:
                return Refused(error.message)
            raise

    def _heard(self, call: Asked) -> Outcome:
        text, scores = "", list[float | None]()
        for event in self._events(call.request):
            match event:
                case Delta():
                    text += event.text
                case PromptTokens():
                    scores += [token.logprob for token in event.tokens]
                case Done() if call.tokens:
                    return _likelihood(scores, call)
        return Said(text)

    def _events(self, request: Generate) -> Iterator[Event]:
        with self._client.stream(request) as events:
            with self._lock:
                if self._over:
                    events.cancel()
                self._open.add(events)
            try:
                yield from events
            finally:
                with self._lock, suppress(KeyError):
                    self._open.remove(events)


def _likelihood(scores: list[float | None], call: Asked) -> Likelihood:
    # The first token of a text is predicted from nothing.
    learnt = [each for each in scores[max(call.learnt_from, 1) :] if each is not None]
    if len(scores) != len(call.tokens) or not learnt:
        raise BadEvaluation("The engine did not say how likely the text was. Restart the hub.")
    return Likelihood(-sum(learnt) / len(learnt), len(learnt))
