"""The engine: one thread that owns MLX and turns requests into events.

Its loop is schedule → run → publish. Requests come in through ``submit`` from any
thread and are taken up between steps; events go out through each request's Call.
The engine knows no sockets, and what it knows of models is in the pool.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from apps.inference.engine import protocol
from apps.inference.engine.config import EngineConfig
from apps.inference.engine.errors import EngineFault, ShuttingDown
from apps.inference.engine.job import Job, answer_job, warm_job
from apps.inference.engine.model_pool import ModelPool, PooledModel
from apps.inference.engine.prompt_cache.cache import PromptCache
from apps.inference.engine.scheduler import Chunk, Limits, Plan, Scheduler
from apps.inference.engine.sequence import Call, Phase, Sequence
from apps.inference.engine.snapshot import Snapshot, take_snapshot
from apps.inference.engine.tokens import Tokens
from apps.models.runtime.accelerator import AcceleratorProfile

logger = logging.getLogger(__name__)

_IDLE_SECONDS = 1.0
"""How often an idle engine passes through its loop, to show that it lives."""

_SNAPSHOT_SECONDS = 0.1
"""How old the snapshot may grow while the engine computes."""

_MEMORY_SHARE = 0.75
"""Of the machine's memory, unless a ceiling is configured."""

_BROKEN = "The engine failed while it answered; see logs/engine.log. Other requests go on."
_STOPPED = "The engine is shutting down. Try again when the hub is up."


RowTokens = list[tuple[Sequence, int]]
"""Rows and the token each of them got."""


class Engine:
    def __init__(self, config: EngineConfig, profile: AcceleratorProfile) -> None:
        self._config = config
        self._profile = profile
        self._ceiling = config.memory_ceiling_bytes or int(profile.memory_bytes * _MEMORY_SHARE)
        self._inbox: queue.SimpleQueue[tuple[protocol.Request, Call] | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._jobs: dict[int, Job] = {}
        self._cache = PromptCache(config.prompt_cache)
        self._pool = ModelPool(
            profile,
            ceiling_bytes=self._ceiling,
            cache_bytes=config.prompt_cache.max_memory_bytes,
            busy=lambda digest: self._scheduler.uses(digest),
        )
        self._scheduler = Scheduler(_limits(config, profile), self._pool.kv_budget)
        self._steps = 0
        self._last_step_at: float | None = None
        self._generated = 0
        self._loading: str | None = None
        self.snapshot: Snapshot = self._snapshot()
        """The engine's state after its last pass through the loop; read it from any thread."""

    # --- from any thread ----------------------------------------------------

    def submit(self, request: protocol.Request, call: Call) -> None:
        """Take a request; its events follow through ``call``."""
        self._inbox.put((request, call))

    def wake(self) -> None:
        """Look at cancelled calls now rather than at the next idle pass."""
        self._inbox.put(None)

    def stop(self) -> None:
        """Refuse new requests, finish running answers within the grace period, end ``run``."""
        self._stopping.set()
        self.wake()

    # --- the loop -----------------------------------------------------------

    def run(self) -> None:
        """Serve until ``stop``; called on the one thread that uses MLX."""
        deadline: float | None = None
        while True:
            self.turn()
            if self._stopping.is_set():
                deadline = deadline or time.monotonic() + self._config.drain_seconds
                if not self._jobs or time.monotonic() > deadline:
                    break
        for job in list(self._jobs.values()):
            self._fail(job, ShuttingDown(_STOPPED).event())
        self._cache.close()

    def turn(self, *, wait: bool = True) -> None:
        """Take up requests, drop what nobody wants any more, compute one step.

        With ``wait``, an idle engine blocks until a request comes or a second is over.
        """
        self._take_requests(wait=wait)
        self._drop_cancelled()
        self.step()
        if self._config.model_ttl_seconds:
            self._pool.unload_idle(self._config.model_ttl_seconds)
        self._show()

    def _show(self) -> None:
        """Renew the snapshot: at once when idle, now and then while computing."""
        busy = self._scheduler.active > 0
        if not busy or time.monotonic() - self.snapshot.taken_at > _SNAPSHOT_SECONDS:
            self.snapshot = self._snapshot()

    def step(self) -> None:
        """One turn: decide, compute, tell; first for prompts, then for running answers."""
        plan = self._scheduler.schedule()
        if plan is None:
            return
        try:
            chunks, first_tokens = self._run_prefill(plan)
            self._publish_prefill(chunks, first_tokens)
            self._publish_tokens(self._pool[plan.model].runner.decode())
        except Exception:  # the loop must survive any one step
            logger.exception("a step failed")
            self._fail_step(plan)
        self._steps += 1
        self._last_step_at = time.monotonic()

    def _run_prefill(self, plan: Plan) -> tuple[tuple[Chunk, ...], RowTokens]:
        """Start what was admitted and compute the next chunks of prompts."""
        for sequence in plan.prefilling:
            if sequence.started_at is None:
                with self._contained(self._jobs[sequence.id]) as job:
                    self._begin(job)
        begun = tuple(row for row in plan.prefilling if row.phase is Phase.PREFILL)
        chunks = self._scheduler.chunks(replace(plan, prefilling=begun))
        if chunks:
            with self._contained(*(self._jobs[chunk.sequence.id] for chunk in chunks)):
                return chunks, self._pool[plan.model].runner.prefill(chunks)
        return (), []

    # --- publishing ---------------------------------------------------------

    def _publish_prefill(self, chunks: tuple[Chunk, ...], first_tokens: RowTokens) -> None:
        for chunk in chunks:
            self._scheduler.prefilled(chunk)
        ended = self._tell(first_tokens)
        for chunk in chunks:
            job = self._jobs.get(chunk.sequence.id)
            if job is not None:
                with self._contained(job):
                    self._after_chunk(job, chunk)
        for job in ended:
            self._end(job)

    def _after_chunk(self, job: Job, chunk: Chunk) -> None:
        if chunk.is_last or chunk.stop in chunk.sequence.stops:
            self._remember(job)
        if not chunk.is_last:
            job.call.emit(protocol.Prefill(done=chunk.stop, total=len(chunk.sequence.prompt)))
        elif job.text is None:
            entry = self._cache.entry_at(job.namespace, chunk.sequence.prompt)
            job.call.emit(job.warmed(entry or ""))
            self._end(job)

    def _publish_tokens(self, tokens: RowTokens) -> None:
        for job in self._tell(tokens):
            self._remember(job)
            self._end(job)

    def _tell(self, tokens: RowTokens) -> list[Job]:
        """Send the text of each row's token; the rows that ended with it."""
        now = time.monotonic()
        ended: list[Job] = []
        for sequence, token in tokens:
            with self._contained(self._jobs[sequence.id]) as job:
                if self._tell_one(job, token, now):
                    ended.append(job)
        return ended

    def _tell_one(self, job: Job, token: int, now: float) -> bool:
        """Whether the answer ended with this token."""
        assert job.text is not None
        job.sequence.first_token_at = job.sequence.first_token_at or now
        job.sequence.generated.append(token)
        self._generated += 1
        piece = job.text.feed(token)
        if piece.text:
            job.call.emit(protocol.Delta(text=piece.text))
        if piece.finish_reason is not None:
            job.call.emit(job.done(piece, now))
        return piece.finish_reason is not None

    # --- requests -----------------------------------------------------------

    def _take_requests(self, *, wait: bool) -> None:
        """Take up what has come in; wait for it while there is nothing to compute."""
        idle = not self._jobs and not self._stopping.is_set()
        try:
            item = self._inbox.get(timeout=_IDLE_SECONDS if wait and idle else 0)
            while True:
                if item is not None:
                    self._take(*item)
                item = self._inbox.get_nowait()
        except queue.Empty:
            return

    def _take(self, request: protocol.Request, call: Call) -> None:
        if call.cancelled:
            # Whoever asked left while another request was taken up; a model may
            # have to be loaded for it, which nobody waits for.
            return
        try:
            if self._stopping.is_set():
                raise ShuttingDown(_STOPPED)
            self._dispatch(request, call)
        except EngineFault as fault:
            call.emit(fault.event())
        except Exception:  # a bad request must not end the engine
            logger.exception("request %s failed", request.op)
            call.emit(_broken())

    def _dispatch(self, request: protocol.Request, call: Call) -> None:
        match request:
            case protocol.Generate():
                model = self._model(request.model, call)
                budget = self._pool.kv_budget(request.model.digest)
                self._admit(answer_job(request, call, model, kv_budget=budget))
            case protocol.Warm():
                model = self._model(request.model, call)
                budget = self._pool.kv_budget(request.model.digest)
                self._admit(warm_job(request, call, model, kv_budget=budget))
            case protocol.LoadModel():
                started = time.monotonic()
                model = self._model(request.model, call)
                seconds = time.monotonic() - started
                call.emit(protocol.ModelReady(model=model.described(), seconds=seconds))
            case protocol.UnloadModel():
                self._pool.unload(request.digest)
                call.emit(protocol.Ok())
            case protocol.PinCache():
                self._cache.pin(request.entry_id, request.pinned)
                call.emit(protocol.Ok())
            case protocol.EvictCache(entry_id=None):
                call.emit(protocol.Evicted(entries=self._cache.clear()))
            case protocol.EvictCache(entry_id=str(entry_id)):
                self._cache.evict(entry_id)
                call.emit(protocol.Evicted(entries=1))
            case _:
                raise AssertionError(f"{request.op} is answered from the snapshot")
        # Whoever asks next must see what this call did.
        self.snapshot = self._snapshot()

    def _model(self, spec: protocol.ModelSpec, call: Call) -> PooledModel:
        if spec.digest not in self._pool:
            call.emit(protocol.Loading(model=spec.name))
            self._loading = spec.name
            self.snapshot = self._snapshot()
        try:
            return self._pool.get(spec)
        finally:
            self._loading = None

    def _admit(self, job: Job) -> None:
        self._scheduler.submit(job.sequence)
        self._jobs[job.sequence.id] = job

    def _begin(self, job: Job) -> None:
        """Start an admitted sequence from what the prompt cache holds of it."""
        sequence, runner = job.sequence, job.model.runner
        sequence.started_at = time.monotonic()
        spans = []
        if runner.cacheable:
            exact = runner.needs_checkpoints
            hit = self._cache.lookup(job.namespace, sequence.prompt, exact=exact)
            sequence.cached = sequence.computed = hit.tokens
            sequence.stops = job.checkpoint_stops(hit) if exact else ()
            spans = hit.spans
        runner.begin(sequence, job.sampler, spans)
        job.call.emit(
            protocol.Prompt(prompt_tokens=len(sequence.prompt), cached_tokens=sequence.cached)
        )

    # --- endings ------------------------------------------------------------

    def _remember(self, job: Job) -> None:
        """File what the cache has seen of a sequence in the prompt cache, if that works."""
        sequence = job.sequence
        if not job.model.runner.cacheable or not sequence.computed:
            return
        try:
            self._file(job, sequence.spelled[: sequence.computed])
        except Exception:  # what can't be cached must not cost the answer
            logger.exception("prompt cache: a prompt could not be filed")

    def _file(self, job: Job, tokens: Tokens) -> None:
        runner, namespace = job.model.runner, job.namespace
        covered = self._cache.covered(namespace, tokens, exact=runner.needs_checkpoints)
        span = runner.span(job.sequence, covered, len(tokens)) if covered < len(tokens) else None
        marks = job.marks_within(len(tokens))
        self._cache.remember(namespace, tokens, span, model=job.model.spec, marks=marks)

    def _drop_cancelled(self) -> None:
        for job in [job for job in self._jobs.values() if job.call.cancelled]:
            # What was computed may serve the next request.
            if job.text is not None:
                self._remember(job)
            self._end(job)

    @contextmanager
    def _contained(self, *jobs: Job) -> Iterator[Job]:
        """A failure inside ends these jobs alone; their neighbours go on."""
        try:
            yield jobs[0]
        except Exception:
            logger.exception("a request failed")
            for job in jobs:
                self._fail(job, _broken())

    def _fail(self, job: Job, event: protocol.Failed) -> None:
        job.call.emit(event)
        self._end(job)

    def _fail_step(self, plan: Plan) -> None:
        """A step broke where no one request is to blame: its model's answers end."""
        for job in [job for job in self._jobs.values() if job.sequence.model == plan.model]:
            if job.sequence.phase is not Phase.WAITING:
                self._fail(job, _broken())

    def _end(self, job: Job) -> None:
        """Free everything the job holds; a second time does nothing."""
        if self._jobs.pop(job.sequence.id, None) is None:
            return
        job.model.last_used_at = time.time()
        self._scheduler.finish(job.sequence)
        job.model.runner.remove([job.sequence])

    def _snapshot(self) -> Snapshot:
        self._cache.settle()
        return take_snapshot(
            profile=self._profile,
            ceiling_bytes=self._ceiling,
            pool=self._pool,
            scheduler=self._scheduler,
            cache=self._cache,
            loading=self._loading,
            steps=self._steps,
            last_step_at=self._last_step_at,
            generated_tokens=self._generated,
        )


def _limits(config: EngineConfig, profile: AcceleratorProfile) -> Limits:
    # On a CPU a forward pass of 128 tokens takes about a second, and larger
    # chunks are no faster; a GPU needs larger ones to be busy.
    chunk = 128 if profile.backend == "cpu" else 1024
    return Limits(config.max_batch, config.max_queue, chunk, chunk // 4)


def _broken() -> protocol.Failed:
    return protocol.Failed(code="internal_error", message=_BROKEN)
