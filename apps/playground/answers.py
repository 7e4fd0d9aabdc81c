"""Answers that are being written now.

A running answer belongs to the hub, not to the tab that asked. Two threads
serve it and share a Transcript: the *writer* reads the engine, the *keeper*
stores the text twice a second, so that a crash loses less than a second of it
and a slow disk never holds up the text. Followers (streams.py) are a third,
optional party.

This module does not decide what is asked (prompts.py) or when (services.py).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict

from django.db import DatabaseError, connection

from apps.inference.client import EngineClient, EngineError, EngineUnavailable, EventStream
from apps.inference.engine import protocol
from apps.observability.ids import current_ids, marked
from apps.playground.models import Message
from apps.playground.outcome import Outcome
from apps.playground.thinking import THINKING, ends_in_thoughts
from apps.playground.transcript import Progress, Transcript

logger = logging.getLogger(__name__)

STORE_INTERVAL = 0.5
"""Seconds between two times that the text so far is stored."""

ENGINE_PATIENCE = 10.0
"""Seconds to wait for an engine that can't be reached; one that crashed is back within a few."""

ENGINE_RETRY_INTERVAL = 0.25
"""Seconds between two attempts to reach it."""

_BROKE = "The hub failed while it took down this answer. See the web log, then try again."


class RunningAnswer:
    """One answer from the engine's first event until its result is stored."""

    def __init__(
        self,
        message_id: int,
        request: protocol.Generate,
        client: EngineClient,
        *,
        said: str = "",
        earlier: Outcome | None = None,
    ) -> None:
        """``said``: the text that it goes on from, and ``earlier`` how that came about."""
        self.message_id = message_id
        self.transcript = Transcript(said)
        self._request = request
        self._client = client
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._interrupted = ""
        self._stream: EventStream | None = None
        self._started_at = 0.0
        self._heard = False
        self._thinking = ends_in_thoughts(said)
        """Whether the text so far ends in thoughts, which are marked in it."""
        # The writer's alone until ``_written`` is set, the keeper's after that.
        self._outcome = Outcome()
        self._earlier = earlier
        self._written = threading.Event()
        self._kept = threading.Event()

    def start(self) -> None:
        self._started_at = time.monotonic()
        ids = current_ids()
        for work in (self._write, self._keep):
            name = f"answer-{self.message_id}-{work.__name__.strip('_')}"
            threading.Thread(target=_marked, args=(work, ids), name=name, daemon=True).start()

    def stop(self, *, interrupted: str = "") -> None:
        """Close the engine call; the text so far is kept. Does nothing at the end.

        ``interrupted``: why, where it is not what somebody wanted.
        """
        with self._lock:
            self._interrupted = self._interrupted or interrupted
            self._stopping.set()
            if self._stream is not None:
                self._stream.cancel()

    def wait(self, timeout: float) -> bool:
        """Whether the answer is over and stored within ``timeout`` seconds."""
        return self._kept.wait(timeout)

    # --- the writer -------------------------------------------------------

    def _write(self) -> None:
        self._outcome.state, self._outcome.error = Message.State.FAILED, _BROKE
        try:
            self._generate_when_reachable()
        except EngineError as error:
            self._outcome.state, self._outcome.error = self._cut_short_by(error)
        finally:
            self._written.set()

    def _generate_when_reachable(self) -> None:
        while True:
            try:
                return self._generate()
            except EngineUnavailable:
                reached = self._stream is not None
                late = time.monotonic() - self._started_at >= ENGINE_PATIENCE
                if reached or late or self._stopping.wait(ENGINE_RETRY_INTERVAL):
                    raise

    def _generate(self) -> None:
        with self._client.stream(self._request) as events:
            with self._lock:
                self._stream = events
                if self._stopping.is_set():
                    events.cancel()
            for event in events:
                self._heard = True
                self._take(event)
        self._outcome.state, self._outcome.error = Message.State.COMPLETE, ""

    def _take(self, event: protocol.Event) -> None:
        match event:
            case protocol.Loading():
                self.transcript.advance(Progress("loading"))
            case protocol.Prompt(prompt_tokens=total, cached_tokens=cached):
                self._outcome.prompt_tokens, self._outcome.cached_tokens = total, cached
                self.transcript.advance(Progress("reading", cached, total))
            case protocol.Prefill(done=done, total=total):
                self.transcript.advance(Progress("reading", done, total))
            case protocol.Reasoning(text=text):
                self._say(text if self._thinking else f"{THINKING[0]}{text}")
                self._thinking = True
            case protocol.Delta(text=text):
                self._say(f"{THINKING[1]}\n\n{text}" if self._thinking else text)
                self._thinking = False
            case protocol.Done():
                self._measure(event)

    def _say(self, text: str) -> None:
        if self._outcome.ttft is None:
            self._outcome.ttft = time.monotonic() - self._started_at
        self.transcript.append(text)

    def _measure(self, done: protocol.Done) -> None:
        self._outcome.finish_reason = done.finish_reason
        self._outcome.prompt_tokens = done.usage.prompt_tokens
        self._outcome.cached_tokens = done.usage.cached_tokens
        self._outcome.completion_tokens = done.usage.completion_tokens
        self._outcome.ttft = done.timings.time_to_first_token
        self._outcome.tokens_per_second = done.timings.tokens_per_second or None

    def _cut_short_by(self, error: EngineError) -> tuple[Message.State, str]:
        if self._interrupted:
            return Message.State.INTERRUPTED, self._interrupted
        if self._stopping.is_set():
            return Message.State.STOPPED, ""
        if isinstance(error, EngineUnavailable) and self._heard:
            return Message.State.INTERRUPTED, error.message
        return Message.State.FAILED, error.message

    # --- the keeper -------------------------------------------------------

    def _keep(self) -> None:
        stored = self.transcript.text
        try:
            while not self._written.wait(STORE_INTERVAL):
                text = self.transcript.text
                if text != stored and self._store(content=text):
                    stored = text
                if self._is_to_stop():
                    self.stop()
            self._store(content=self.transcript.text, **asdict(self._altogether()))
        finally:
            connection.close()
            _running.pop(self.message_id, None)
            self._kept.set()
            self.transcript.settle()

    def _altogether(self) -> Outcome:
        """How the whole answer went, whatever of it this call wrote."""
        return self._outcome if self._earlier is None else self._outcome.after(self._earlier)

    def _is_to_stop(self) -> bool:
        """Whether another process was asked to end it, or its message is gone."""
        try:
            asked = Message.objects.filter(pk=self.message_id).values_list("stop_asked", flat=True)
            return asked.first() is not False
        except DatabaseError:
            return False  # it is asked again in a moment

    def _store(self, **fields: object) -> bool:
        try:
            Message.objects.filter(pk=self.message_id).update(**fields)
        except DatabaseError:
            logger.exception("Answer %s could not be stored", self.message_id)
            return False
        return True


def _marked(work: Callable[[], None], ids: dict[str, str]) -> None:
    """Work of the request that asked for it: its lines in the log have the same marks."""
    with marked(**ids):
        work()


# Every process has its own: the threads die with it. What others write is in mirrors.py.
_running: dict[int, RunningAnswer] = {}


def register(answer: RunningAnswer) -> None:
    """Make the answer findable; do so before others can see its message."""
    _running[answer.message_id] = answer


def find(message_id: int) -> RunningAnswer | None:
    """The answer, where this process is writing it."""
    return _running.get(message_id)


def unfinished() -> list[RunningAnswer]:
    """The answers that this process is writing."""
    return list(_running.values())
