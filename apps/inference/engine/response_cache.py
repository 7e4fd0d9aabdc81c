"""The response cache: exact repeats of deterministic requests, answered from memory.

A request is deterministic at temperature 0. Its key is a digest of everything in
it but what cannot change the answer: who asks, how urgently, where on disk the
model lies. A field that is added to the request counts from its first day on.

Kept are whole answers that ended by themselves: with a stop, or at the request's
own ``max_tokens``. An answer that ended because there was no more room might be
longer the next time.

Pure Python; any thread may use it, so that a repeat never waits for a forward pass.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

from apps.inference.engine import protocol
from apps.inference.engine.config import ResponseCacheConfig
from apps.inference.engine.sequence import Call

_Told = protocol.Delta | protocol.Reasoning | protocol.ToolCallStart | protocol.ToolCallArguments
"""What an answer consists of."""

_OVERHEAD_BYTES = 1024
"""What keeping a response takes beside its text: the objects around it, and its key."""

_WITHOUT_EFFECT: dict[str, bool | set[str]] = {
    "op": True,
    "client": True,
    "ids": True,
    "priority": True,
    "deadline_seconds": True,
    # Speculation never changes a greedy answer, and no seed is drawn from for one.
    "model": {"name", "path", "ttl_seconds", "pinned", "draft"},
    "adapter": {"name", "path"},
    "sampling": {"seed"},
}


def response_key(request: protocol.Generate) -> bytes:
    """Equal for requests that must be answered alike."""
    asked = request.model_dump_json(exclude=_WITHOUT_EFFECT)
    return hashlib.blake2b(asked.encode(), digest_size=32).digest()


@dataclass(frozen=True)
class ResponseStats:
    entries: int
    bytes: int
    max_bytes: int
    hits: int
    misses: int
    """Deterministic requests that had to be computed."""

    def named(self) -> dict[str, int]:
        """The same as fields of ``protocol.CacheStats``."""
        return {f"response_{name}": value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class _Response:
    events: tuple[bytes, ...]
    """The answer encoded, a tenth of what its objects would take; one event for each stretch."""
    marked_tokens: int
    done: protocol.Done
    expires_at: float

    @property
    def nbytes(self) -> int:
        return sum(map(len, self.events)) + _OVERHEAD_BYTES


class ResponseCache:
    def __init__(
        self, config: ResponseCacheConfig, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._config = config
        self._clock = clock
        self._lock = threading.Lock()
        self._responses: OrderedDict[bytes, _Response] = OrderedDict()
        """Least recently used first."""
        self._oldest: OrderedDict[bytes, None] = OrderedDict()
        """The same keys, the first to expire first."""
        self._bytes = 0
        self._hits = 0
        self._misses = 0

    def answer(self, request: protocol.Generate, call: Call) -> bool:
        """Answer an exact repeat at once; else False, and the call's answer will be kept."""
        random = request.sampling.temperature > 0
        # The tokens of a scored prompt are not kept.
        if not self._config.max_bytes or random or request.score_prompt:
            return False
        started, key = self._clock(), response_key(request)
        response = self._get(key)
        if response is None:
            _Recording(request, call, keep=lambda *parts: self._keep(key, *parts))
            return False
        self._replay(response, call, started)
        return True

    def clear(self) -> None:
        """Forget all responses."""
        with self._lock:
            self._responses.clear()
            self._oldest.clear()
            self._bytes = 0

    def stats(self) -> ResponseStats:
        with self._lock:
            self._expire()
            return ResponseStats(
                entries=len(self._responses),
                bytes=self._bytes,
                max_bytes=self._config.max_bytes,
                hits=self._hits,
                misses=self._misses,
            )

    def _replay(self, response: _Response, call: Call, started: float) -> None:
        usage = response.done.usage
        # Nothing is computed: the whole prompt counts as cached.
        cached = usage.model_copy(update={"cached_tokens": usage.prompt_tokens})
        call.emit(
            protocol.Prompt(
                prompt_tokens=cached.prompt_tokens,
                cached_tokens=cached.cached_tokens,
                repeated=True,
                marked_tokens=response.marked_tokens,
            )
        )
        for event in response.events:
            call.emit(protocol.decode_event(event))
        timings = protocol.Timings(
            queued=0.0,
            time_to_first_token=self._clock() - started,
            decode=0.0,
            tokens_per_second=0.0,
        )
        call.emit(
            protocol.Done(
                finish_reason=response.done.finish_reason,
                stop_string=response.done.stop_string,
                usage=cached,
                timings=timings,
                repeated=True,
            )
        )

    def _get(self, key: bytes) -> _Response | None:
        with self._lock:
            self._expire()
            response = self._responses.get(key)
            if response is None:
                self._misses += 1
                return None
            self._hits += 1
            self._responses.move_to_end(key)
            return response

    def _keep(
        self, key: bytes, told: Sequence[_Told], marked_tokens: int, done: protocol.Done
    ) -> None:
        expires_at = self._clock() + self._config.ttl_seconds
        events = tuple(map(protocol.encode, told))
        response = _Response(events, marked_tokens, done, expires_at)
        with self._lock:
            self._expire()
            self._drop(key)
            self._responses[key] = response
            self._oldest[key] = None
            self._bytes += response.nbytes
            while self._bytes > self._config.max_bytes:
                self._drop(next(iter(self._responses)))

    # --- to be called with the lock held ------------------------------------

    def _expire(self) -> None:
        now = self._clock()
        while self._oldest:
            key = next(iter(self._oldest))
            if self._responses[key].expires_at > now:
                return
            self._drop(key)

    def _drop(self, key: bytes) -> None:
        response = self._responses.pop(key, None)
        if response is not None:
            del self._oldest[key]
            self._bytes -= response.nbytes


class _Recording:
    """Listens to a call's events and hands over the whole answer when it is worth keeping."""

    def __init__(
        self,
        request: protocol.Generate,
        call: Call,
        *,
        keep: Callable[[Sequence[_Told], int, protocol.Done], None],
    ) -> None:
        self._limit = request.sampling.max_tokens
        self._emit = call.emit
        self._keep = keep
        self._told: list[_Told] = []
        self._marked_tokens = 0
        call.emit = self._event

    def _event(self, event: protocol.Event) -> None:
        if isinstance(event, _Told):
            self._told.append(event)
        elif isinstance(event, protocol.Prompt):
            self._marked_tokens = event.marked_tokens
        elif isinstance(event, protocol.Done) and self._ended_by_itself(event):
            stretches = groupby(self._told, key=lambda told: (told.event, _call_of(told)))
            told = [_joined(list(stretch)) for _, stretch in stretches]
            self._keep(told, self._marked_tokens, event)
        self._emit(event)

    def _ended_by_itself(self, done: protocol.Done) -> bool:
        return done.finish_reason != "length" or done.usage.completion_tokens == self._limit


def _call_of(told: _Told) -> int | None:
    if isinstance(told, protocol.ToolCallStart | protocol.ToolCallArguments):
        return told.index
    return None


def _joined(stretch: list[_Told]) -> _Told:
    """Consecutive pieces of one kind as one."""
    first = stretch[0]
    if isinstance(first, protocol.ToolCallStart):
        return first
    pieces = [told for told in stretch if not isinstance(told, protocol.ToolCallStart)]
    changes: dict[str, object] = {"text": "".join(told.text for told in pieces)}
    if isinstance(first, protocol.Delta):
        deltas = [told for told in pieces if isinstance(told, protocol.Delta)]
        changes["logprobs"] = tuple(token for delta in deltas for token in delta.logprobs)
    return first.model_copy(update=changes)
