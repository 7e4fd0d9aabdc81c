"""What comes in: requests are taken up here, and become jobs or are done at once.

Requests come from any thread and are taken up on the engine's, between steps. One whose
model is not there yet waits for its load; the rest goes on meanwhile.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from apps.inference.engine import protocol
from apps.inference.engine.embedding.model import EmbeddingModel
from apps.inference.engine.embedding.work import EmbeddingWork
from apps.inference.engine.errors import (
    EngineFault,
    InvalidRequest,
    QueueFull,
    ShuttingDown,
    defect,
)
from apps.inference.engine.holds import Holds
from apps.inference.engine.job import Job, answer_job, warm_job
from apps.inference.engine.long_prompts import LongPrompts, is_long
from apps.inference.engine.model_loads import ModelLoads, ModelRequest
from apps.inference.engine.model_pool import ModelPool
from apps.inference.engine.pooled_model import PooledModel
from apps.inference.engine.prompt_cache.cache import PromptCache
from apps.inference.engine.resident import ResidentModel
from apps.inference.engine.response_cache import ResponseCache
from apps.inference.engine.scheduler import RETRY_AFTER, Scheduler
from apps.inference.engine.sequence import Call
from apps.inference.engine.snapshot import reset_peak_memory
from apps.inference.engine.text.chat import ChatPrompt

logger = logging.getLogger(__name__)

_IDLE_SECONDS = 1.0
"""How often an idle engine passes through its loop, to show that it lives."""

_LOAD_SECONDS = 0.1
"""How long a load goes on between two steps."""

STOPPED = "The engine is shutting down. Try again when the hub is up."


@dataclass(frozen=True)
class _Item:
    request: protocol.Request
    call: Call
    prompt: ChatPrompt | None = None
    """What a long prompt was read to; None where it was not read yet."""


class Intake:
    def __init__(
        self,
        pool: ModelPool,
        scheduler: Scheduler,
        embeddings: EmbeddingWork,
        cache: PromptCache,
        responses: ResponseCache,
        *,
        max_queue: int,
        admit: Callable[[Job], None],
        changed: Callable[[], None],
    ) -> None:
        """``admit`` takes a job up; ``changed`` is called after what others should see at once."""
        self._pool = pool
        self._scheduler = scheduler
        self._embeddings = embeddings
        self._cache = cache
        self._responses = responses
        self._max_queue = max_queue
        self._admit = admit
        self._changed = changed
        self._inbox: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self.loads = ModelLoads(pool)
        self.holds = Holds(pool)
        self._long_prompts = LongPrompts(lambda *read: self._inbox.put(_Item(*read)))

    # --- from any thread ----------------------------------------------------

    def put(self, request: protocol.Request, call: Call) -> None:
        """Take a request; its events follow through ``call``."""
        if isinstance(request, protocol.Generate) and self._responses.answer(request, call):
            self.wake()  # the snapshot tells of it
            return
        if self.closed:
            call.emit(ShuttingDown(STOPPED).event())
            return
        self._inbox.put(_Item(request, call))

    def wake(self) -> None:
        """Make a ``take`` that waits go on."""
        self._inbox.put(None)

    def close(self) -> None:
        """Refuse what comes from now on, and what waits for a model."""
        self._closed.set()
        self.wake()

    @property
    def closed(self) -> bool:
        return self._closed.is_set()

    # --- on the engine's thread ---------------------------------------------

    def take(self, *, wait: bool) -> None:
        """Take up what has come in, then go on with a load.

        With ``wait``, blocks until something comes or a second is over, unless a load goes on.
        """
        wait = wait and not self.loads and not self.closed
        try:
            item = self._inbox.get(timeout=_IDLE_SECONDS if wait else 0)
            while True:
                if item is not None:
                    self._take(item)
                item = self._inbox.get_nowait()
        except queue.Empty:
            pass
        self._load()

    def _load(self) -> None:
        if self.closed:
            self.loads.end_all(ShuttingDown(STOPPED).event())
            self._long_prompts.end_all(ShuttingDown(STOPPED).event())
            self.holds.end_all(ShuttingDown(STOPPED).event())
        self.loads.drop()
        self.holds.drop()
        for waiting in self.loads.advance(_LOAD_SECONDS):
            self._take(_Item(waiting.request, waiting.call))

    def _take(self, item: _Item) -> None:
        request, call = item.request, item.call
        if call.cancelled:
            # Whoever asked left while another request was taken up; a model may
            # have to be loaded for it, which nobody waits for.
            return
        try:
            if self.closed:
                raise ShuttingDown(STOPPED)
            self._dispatch(request, call, item.prompt)
        except EngineFault as fault:
            call.emit(fault.event())
        except Exception:  # a bad request must not end the engine
            logger.exception("request %s failed", request.op)
            call.emit(defect())

    def _dispatch(self, request: protocol.Request, call: Call, prompt: ChatPrompt | None) -> None:
        match request:
            case protocol.Generate() | protocol.Warm() | protocol.Embed() | protocol.LoadModel():
                self._serve(request, call, prompt)
            case protocol.UnloadModel():
                self._pool.unload(request.digest)
                call.emit(protocol.Ok())
            case protocol.HoldMemory():
                self.holds.take(request, call)
            case protocol.ResetPeakMemory():
                reset_peak_memory()
                call.emit(protocol.Ok())
            case protocol.PinCache():
                self._cache.pin(request.entry_id, request.pinned)
                call.emit(protocol.Ok())
            case protocol.EvictCache(entry_id=None):
                self._responses.clear()
                call.emit(protocol.Evicted(entries=self._cache.clear()))
            case protocol.EvictCache(entry_id=str(entry_id)):
                self._cache.evict(entry_id)
                call.emit(protocol.Evicted(entries=1))
            case _:
                raise AssertionError(f"{request.op} is answered from the snapshot")
        # Whoever asks next must see what this call did.
        self._changed()

    def _serve(self, request: ModelRequest, call: Call, prompt: ChatPrompt | None) -> None:
        """Do what needs a model, or let it wait for that."""
        model = self._pool.find(request.model)
        if model is None:
            self._require_place()
            self.loads.wait(request, call)
            return
        if isinstance(request, protocol.LoadModel):
            seconds = time.monotonic() - call.asked_at
            call.emit(protocol.ModelReady(model=model.described(), seconds=seconds))
            return
        self._require_place()
        if isinstance(request, protocol.Embed):
            self._embeddings.admit(request, call, _embedding(model))
            return
        model = _answering(model)
        if isinstance(request, protocol.Generate) and prompt is None and is_long(request):
            self._long_prompts.take(request, call, model)
            return
        if request.adapter is not None:
            in_use = {sequence.adapter for sequence in self._scheduler}
            room = self._pool.room(request.model.digest)
            model.runner.adapters.ensure(request.adapter, in_use=in_use, room=room)
        capacity = self._pool.kv_capacity(request.model.digest)
        if isinstance(request, protocol.Generate):
            self._admit(answer_job(request, call, model, kv_budget=capacity, prompt=prompt))
        else:
            self._admit(warm_job(request, call, model, kv_budget=capacity))

    def _require_place(self) -> None:
        """Those who wait for a model, or to be read, count as waiting. Raises QueueFull."""
        early = len(self.loads) + len(self._long_prompts)
        waiting = self._scheduler.queued + early + len(self._embeddings)
        if waiting >= self._max_queue:
            raise QueueFull(
                f"{waiting} requests are waiting already. Try again in {RETRY_AFTER:.0f} s.",
                retry_after=RETRY_AFTER,
            )


def _answering(model: ResidentModel) -> PooledModel:
    if not isinstance(model, PooledModel):
        raise InvalidRequest(
            f"{model.spec.name} is an embedding model: it makes vectors and writes no text. "
            "Name a model that generates text."
        )
    return model


def _embedding(model: ResidentModel) -> EmbeddingModel:
    if not isinstance(model, EmbeddingModel):
        raise InvalidRequest(
            f"{model.spec.name} generates text and makes no vectors. Name an embedding model."
        )
    return model
