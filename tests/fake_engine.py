"""A scripted engine: it speaks the real wire contract and needs no model.

    with FakeEngine() as engine:
        gate = Gate()
        engine.once(Generate, *reply("The capital", gate, " is Paris."))
        ...                                # the code under test makes a call
        call = engine.wait_for_call(Generate)
        gate.open()                        # now, and not before, the rest follows
        call.wait_closed_early()           # ... or the caller hung up

Without a script a call gets a plausible answer: generation says "Hello world",
loading and warming change what status and the cache list show afterwards.

``fake_engine`` is a fixture for everybody (loaded by the top-level conftest):
a running FakeEngine that ``settings.HUB`` points to.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from apps.inference.engine.protocol import (
    LAST_EVENTS,
    MAX_REQUEST_BYTES,
    Accelerator,
    CacheEntries,
    CacheEntry,
    CacheStats,
    Detokenize,
    Embed,
    EvictCache,
    Evicted,
    Generate,
    GetCacheStats,
    GetStatus,
    Held,
    HoldMemory,
    ListCache,
    LoadedModel,
    Loading,
    LoadModel,
    ModelReady,
    ModelSpec,
    Ok,
    PinCache,
    Prefill,
    Prompt,
    ResetPeakMemory,
    Status,
    Text,
    Tokenize,
    Tokens,
    UnloadModel,
    Warm,
    Warmed,
    decode_request,
    encode,
)
from tests.engine_scripts import Gate, Hang, HangUp, Step, cache_entry, failure, reply, vectors

PATIENCE = 60.0
"""Seconds a test waits for something that is due at once, on a machine that may be busy."""


@dataclass(eq=False)
class Call:
    """One connection, as the engine saw it."""

    request: Any
    closed_early: threading.Event = field(default_factory=threading.Event)
    """The caller hung up before the call's last event."""
    ended: threading.Event = field(default_factory=threading.Event)

    def wait_closed_early(self, timeout: float = PATIENCE) -> None:
        assert self.closed_early.wait(timeout), f"The caller kept {self.request!r} open."

    def wait_ended(self, timeout: float = PATIENCE) -> None:
        assert self.ended.wait(timeout), f"{self.request!r} has not ended."


class FakeEngine:
    """The engine's side of the socket, in a thread of its own.

    ``home`` is a data folder with the socket where a hub looks for it, so both
    ``MLXHUB_HOME`` of a subprocess and ``HUB`` of a test can point to it. It is
    made in /tmp because a Unix socket's path may have 107 bytes at most.
    """

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="fe-", dir="/tmp"))
        self.socket_path = self.home / "run" / "engine.sock"
        self.calls: list[Call] = []
        self.loaded: dict[str, LoadedModel] = {}
        self.entries: dict[str, CacheEntry] = {}
        self.stats: dict[str, int | float] = {"total_hits": 0, "total_misses": 0, "hit_rate": 0.0}
        """Overrides of what cache statistics say."""
        self.status: dict[str, Any] = {}
        """Overrides of what the status says."""
        self._scripts: dict[type[BaseModel], deque[Sequence[Step]]] = defaultdict(deque)
        self._standing: dict[type[BaseModel], Sequence[Step]] = {}
        self._arrived = threading.Condition()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._listening = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event

    # --- what a test says and asks ---------------------------------------

    def once(self, kind: type[BaseModel], *steps: Step) -> None:
        """Answer the next call of this kind so; several are taken in turn."""
        self._scripts[kind].append(steps)

    def always(self, kind: type[BaseModel], *steps: Step) -> None:
        """Answer every call of this kind so, once the ``once`` scripts are used up."""
        self._standing[kind] = steps

    @property
    def requests(self) -> list[Any]:
        return [call.request for call in self.calls]

    def calls_of(self, kind: type[BaseModel]) -> list[Call]:
        return [call for call in self.calls if isinstance(call.request, kind)]

    def wait_for_call(
        self, kind: type[BaseModel], number: int = 1, timeout: float = PATIENCE
    ) -> Call:
        """The ``number``-th call of this kind, counted from 1."""
        with self._arrived:
            came = self._arrived.wait_for(lambda: len(self.calls_of(kind)) >= number, timeout)
        assert came, f"Call {number} of {kind.__name__} did not come; got {self.requests!r}."
        return self.calls_of(kind)[number - 1]

    def start(self) -> FakeEngine:
        self.socket_path.parent.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        assert self._listening.wait(PATIENCE), "The fake engine did not start."
        return self

    def stop(self) -> None:
        """Hang up on everybody and close the socket."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(PATIENCE)
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self) -> FakeEngine:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- the socket ------------------------------------------------------

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        answering: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._handle(reader, writer))
            answering.add(task)
            task.add_done_callback(answering.discard)

        server = await asyncio.start_unix_server(
            connected, str(self.socket_path), limit=MAX_REQUEST_BYTES
        )
        self._listening.set()
        await self._stop.wait()
        server.close()
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
            if not line:  # connected and left without a word
                return
            call = Call(decode_request(line))
            steps = self._steps_for(call.request)
            with self._arrived:
                self.calls.append(call)
                self._arrived.notify_all()
            await self._answer(call, steps, reader, writer)
        finally:
            writer.close()

    async def _answer(
        self,
        call: Call,
        steps: Sequence[Step],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Plays the script while listening for the caller's hanging up."""
        play = asyncio.create_task(self._play(steps, writer))
        hung_up = asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait((play, hung_up), return_when=asyncio.FIRST_COMPLETED)
            if not play.done() or play.exception() is not None:
                call.closed_early.set()
        finally:
            play.cancel()
            hung_up.cancel()
            await asyncio.gather(play, hung_up, return_exceptions=True)
            call.ended.set()

    async def _play(self, steps: Sequence[Step], writer: asyncio.StreamWriter) -> None:
        for step in steps:
            if isinstance(step, HangUp):
                return
            if isinstance(step, Gate):
                await step.passed()
            elif isinstance(step, Hang):
                await asyncio.Event().wait()
            else:
                writer.write(encode(step))
                await writer.drain()
                if isinstance(step, LAST_EVENTS):
                    return

    # --- plausible answers -----------------------------------------------

    def _steps_for(self, request: Any) -> Sequence[Step]:
        scripts = self._scripts[type(request)]
        if scripts:
            return scripts.popleft()
        if type(request) in self._standing:
            return self._standing[type(request)]
        return self._plausible(request)

    def _plausible(self, request: Any) -> Sequence[Step]:
        match request:
            case Generate():
                self._load(request.model)
                return reply("Hello", " world")
            case Warm():
                return self._warm(request)
            case Tokenize():
                said = request.text or "".join(each.content for each in request.messages)
                return [Tokens(tokens=tuple(said.encode()), strings=tuple(said))]
            case Detokenize():
                said = bytes(token % 256 for token in request.tokens)
                return [Text(text=said.decode(errors="replace"))]
            case Embed():
                return vectors(*([len(each), 1.0] for each in request.inputs))
            case LoadModel():
                model = self._load(request.model)
                return [Loading(model=request.model.name), ModelReady(model=model, seconds=0.1)]
            case UnloadModel():
                gone = self.loaded.pop(request.digest, None)
                return [Ok() if gone else failure("model_not_loaded", "The model is not loaded.")]
            case GetStatus():
                return [self._status()]
            case ResetPeakMemory():
                return [Ok()]
            case HoldMemory():
                return [Held(), Hang()]
            case ListCache():
                return [CacheEntries(entries=tuple(self.entries.values()))]
            case GetCacheStats():
                return [self._cache_stats()]
            case EvictCache():
                return [self._evict(request)]
            case PinCache():
                return [self._pin(request)]
        raise AssertionError(f"No answer for {request!r}")

    def _load(self, spec: ModelSpec) -> LoadedModel:
        now = time.time()
        model = LoadedModel(
            name=spec.name,
            digest=spec.digest,
            path=spec.path,
            context_length=2048,
            weights_bytes=1_000_000,
            live_kv_bytes=0,
            loaded_at=now,
            last_used_at=now,
        )
        return self.loaded.setdefault(spec.digest, model)

    def _warm(self, request: Warm) -> Sequence[Step]:
        entry = cache_entry(
            f"entry{len(self.entries) + 1}",
            model=request.model.name,
            model_digest=request.model.digest,
            preview=request.system_prompt[:60],
            pinned=request.pinned,
        )
        self.entries[entry.id] = entry
        return [
            Prompt(prompt_tokens=entry.tokens, cached_tokens=0),
            Prefill(done=entry.tokens, total=entry.tokens),
            Warmed(entry_id=entry.id, tokens=entry.tokens, cached_tokens=0, seconds=0.2),
        ]

    def _evict(self, request: EvictCache) -> Step:
        if request.entry_id is None:
            count = len(self.entries)
            self.entries.clear()
            return Evicted(entries=count)
        if self.entries.pop(request.entry_id, None) is None:
            return failure("cache_entry_not_found", "No such entry.")
        return Evicted(entries=1)

    def _pin(self, request: PinCache) -> Step:
        entry = self.entries.get(request.entry_id)
        if entry is None:
            return failure("cache_entry_not_found", "No such entry.")
        self.entries[entry.id] = entry.model_copy(update={"pinned": request.pinned})
        return Ok()

    def _status(self) -> Status:
        values: dict[str, Any] = {
            "pid": 4242,
            "started_at": 1_700_000_000.0,
            "accelerator": Accelerator(
                backend="cpu",
                name="Test CPU",
                blas="openblas",
                memory_bytes=8 * 1024**3,
                memory_ceiling_bytes=6 * 1024**3,
            ),
            "models": tuple(self.loaded.values()),
            "loading": None,
            "active": 0,
            "queued": 0,
            "steps": 10,
            "last_step_age": 0.1,
            "loop_age": 0.01,
            "generated_tokens": 100,
            "active_memory_bytes": 1_000_000,
            "peak_memory_bytes": 2_000_000,
        }
        return Status(**(values | self.status))

    def _cache_stats(self) -> CacheStats:
        entries = self.entries.values()
        values: dict[str, Any] = {
            "memory_entries": sum(entry.in_memory for entry in entries),
            "memory_bytes": sum(entry.bytes for entry in entries if entry.in_memory),
            "max_entries": 10,
            "max_memory_bytes": 2 * 1024**3,
            "disk_entries": sum(entry.on_disk for entry in entries),
            "disk_bytes": sum(entry.bytes for entry in entries if entry.on_disk),
            "max_disk_bytes": 8 * 1024**3,
            "tokens_reused": 0,
            "tokens_computed": 0,
            "evictions": 0,
            "disk_hits": 0,
            "disk_errors": 0,
        }
        return CacheStats(**(values | self.stats))


@pytest.fixture
def fake_engine(settings: Any) -> Iterator[FakeEngine]:
    """A running FakeEngine that this test's ``settings.HUB`` points to."""
    with FakeEngine() as engine:
        settings.HUB = settings.HUB.model_copy(update={"home": engine.home})
        yield engine
