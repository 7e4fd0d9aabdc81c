"""The engine: one thread that owns MLX and turns requests into events.

Its loop is schedule → run → publish. Requests come in through ``submit`` from any
thread and are taken up between steps (``intake``); events go out through each
request's Call. The engine knows no sockets, and what it knows of models is in the pool.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from apps.inference.engine import protocol
from apps.inference.engine.config import EngineConfig
from apps.inference.engine.embedding.work import EmbeddingWork
from apps.inference.engine.errors import DeadlineExceeded, ShuttingDown, defect
from apps.inference.engine.heap import Heap
from apps.inference.engine.intake import STOPPED, Intake
from apps.inference.engine.job import Job
from apps.inference.engine.jobs import Jobs
from apps.inference.engine.measurements import Measurements
from apps.inference.engine.model_loader import ModelLoader
from apps.inference.engine.model_pool import ModelPool
from apps.inference.engine.prompt_cache.cache import PromptCache
from apps.inference.engine.response_cache import ResponseCache
from apps.inference.engine.reuse import Reuse
from apps.inference.engine.scheduler import Chunk, Limits, Plan, Scheduler
from apps.inference.engine.sequence import Call, Phase, Sequence
from apps.inference.engine.snapshot import Snapshot, take_snapshot
from apps.inference.engine.texts import TextService
from apps.inference.engine.workload import Workload
from apps.models.runtime import accelerator, cpu
from apps.models.runtime.accelerator import AcceleratorProfile
from apps.models.runtime.memory.chat import prefill_chunk

logger = logging.getLogger(__name__)

_SNAPSHOT_SECONDS = 0.1
"""How old the snapshot may grow while the engine computes."""

RowTokens = list[tuple[Sequence, int]]
"""Rows and the token each of them got."""


class Engine:
    def __init__(self, config: EngineConfig, profile: AcceleratorProfile) -> None:
        if profile.backend == "cpu":
            cpu.install()
        self._config = config
        self._profile = profile
        self._ceiling = config.memory_ceiling_bytes or int(
            profile.memory_bytes * accelerator.MEMORY_SHARE
        )
        accelerator.limit_memory(profile, self._ceiling)
        self._cache = PromptCache(config.prompt_cache)
        self._reuse = Reuse(self._cache)
        self._responses = ResponseCache(config.response_cache)
        measurements = Measurements(config.measurements, profile.backend)
        loader = ModelLoader(profile, measurements, default_ttl=config.model_ttl_seconds)
        # Either asks the other: how much KV there is room for, and how much is reserved.
        self._scheduler = Scheduler(
            _limits(config, profile),
            lambda model: self._pool.kv_budget(model),
            padding_allowed=lambda model: self._pool.padding_allowed(model),
        )
        self._jobs = Jobs(self._scheduler)
        self._embeddings = EmbeddingWork()
        self._pool = ModelPool(
            loader,
            Workload(self._scheduler, self._embeddings),
            ceiling_bytes=self._ceiling,
            allow_cache=self._cache.allow,
        )
        self._intake = Intake(
            self._pool,
            self._scheduler,
            self._embeddings,
            self._cache,
            self._responses,
            max_queue=config.max_queue,
            admit=self._jobs.admit,
            changed=self._renew_snapshot,
        )
        self._texts = TextService(self._intake.put)
        self._heap = Heap()
        self._steps = 0
        self._last_step_at: float | None = None
        self._generated = 0
        self.snapshot: Snapshot = self._snapshot()
        """The engine's state after its last pass through the loop; read it from any thread."""

    # --- from any thread ----------------------------------------------------

    def submit(self, request: protocol.Request, call: Call) -> None:
        """Take a request; its events follow through ``call``."""
        texts = protocol.Tokenize | protocol.Detokenize | protocol.Embed
        if isinstance(request, texts) and not self._intake.closed:
            self._texts.take(request, call)
        else:
            self._intake.put(request, call)

    def wake(self) -> None:
        """Look at cancelled calls now rather than at the next idle pass."""
        self._intake.wake()

    def stop(self) -> None:
        """Refuse new requests, finish running answers within the grace period, end ``run``."""
        self._intake.close()

    # --- the loop -----------------------------------------------------------

    def run(self) -> None:
        """Serve until ``stop``; called on the one thread that uses MLX."""
        deadline: float | None = None
        while True:
            self.turn()
            if self._intake.closed:
                deadline = deadline or time.monotonic() + self._config.drain_seconds
                if not self._busy or time.monotonic() > deadline:
                    break
        for job in self._jobs:
            self._jobs.fail(job, ShuttingDown(STOPPED).event())
        self._embeddings.end_all(ShuttingDown(STOPPED).event())
        self._texts.close()
        self._cache.close()

    def turn(self, *, wait: bool = True) -> None:
        """Take up requests, drop what nobody wants any more, compute one step.

        With ``wait``, an idle engine blocks until a request comes or a second is over.
        """
        self._intake.take(wait=wait and not self._busy)
        self._drop_unwanted()
        self.step()
        self._embed()
        self._pool.unload_idle()
        self._heap.tidy()
        self._show()

    @property
    def _busy(self) -> bool:
        return bool(self._jobs) or bool(self._embeddings)

    def _embed(self) -> None:
        """One pass for those who wait for vectors; answers wait for it."""
        if self._embeddings.step(busy=self._scheduler.active > 0):
            self._steps += 1
            self._last_step_at = time.monotonic()

    def _show(self) -> None:
        """Renew the snapshot: at once when idle, now and then while computing."""
        if not self._busy or time.monotonic() - self.snapshot.taken_at > _SNAPSHOT_SECONDS:
            self.snapshot = self._snapshot()

    def step(self) -> None:
        """One turn: decide, compute, tell; first for prompts, then for running answers."""
        plan = self._scheduler.schedule()
        self._pool.balance()
        if plan is None:
            return
        try:
            self._preempt(plan)
            chunks, first_tokens = self._run_prefill(plan)
            self._publish_prefill(chunks, first_tokens)
            self._publish_tokens(self._run_decode(plan))
        except Exception:  # the loop must survive any one step
            logger.exception("a step failed")
            self._fail_step(plan)
        self._steps += 1
        self._last_step_at = time.monotonic()

    def _run_prefill(self, plan: Plan) -> tuple[tuple[Chunk, ...], RowTokens]:
        """Start what was admitted and compute the next chunks of prompts."""
        for sequence in plan.prefilling:
            if not sequence.begun:
                with self._jobs.contained(self._jobs[sequence]) as job:
                    self._begin(job)
        begun = tuple(row for row in plan.prefilling if row.phase is Phase.PREFILL)
        chunks = self._scheduler.chunks(replace(plan, prefilling=begun))
        if chunks:
            with self._jobs.contained(*(self._jobs[chunk.sequence] for chunk in chunks)):
                return chunks, self._pool[plan.model].runner.prefill(chunks)
        return (), []

    def _run_decode(self, plan: Plan) -> RowTokens:
        model = self._pool[plan.model]
        model.runner.draft_with(model.draft.runner if model.draft else None)
        return model.runner.decode()

    def _preempt(self, plan: Plan) -> None:
        """Take those who lost their place off their batch; what is computed may be reused."""
        for sequence in plan.preempted:
            job = self._jobs[sequence]
            self._reuse.remember(job)
            job.model.runner.remove([sequence])
            job.sampler.resume(sequence.generated)
            sequence.begun = False

    # --- publishing ---------------------------------------------------------

    def _publish_prefill(self, chunks: tuple[Chunk, ...], first_tokens: RowTokens) -> None:
        for chunk in chunks:
            self._scheduler.prefilled(chunk)
        self._tell_scores(chunks)
        ended = self._tell(first_tokens)
        for chunk in chunks:
            if chunk.sequence in self._jobs:
                with self._jobs.contained(self._jobs[chunk.sequence]) as job:
                    self._after_chunk(job, chunk)
        for job in ended:
            self._jobs.end(job)

    def _tell_scores(self, chunks: tuple[Chunk, ...]) -> None:
        """Send the tokens of scored prompts, which come before the answers'."""
        for chunk in chunks:
            if chunk.sequence.scored is None or chunk.sequence not in self._jobs:
                continue
            job = self._jobs[chunk.sequence]
            scores = job.model.runner.take_scores(chunk.sequence)
            event = job.scores.told(chunk.start, scores) if job.scores else None
            if event is not None:
                job.call.emit(event)

    def _after_chunk(self, job: Job, chunk: Chunk) -> None:
        if chunk.is_last or chunk.stop in chunk.sequence.stops:
            self._reuse.remember(job)
        if not chunk.is_last:
            if not chunk.sequence.resumed:
                total = len(chunk.sequence.prompt)
                job.call.emit(protocol.Prefill(done=chunk.stop, total=total))
        elif job.text is None:
            job.call.emit(job.warmed(self._reuse.entry_of(job)))
            self._jobs.end(job)

    def _publish_tokens(self, tokens: RowTokens) -> None:
        for job in self._tell(tokens):
            self._reuse.remember(job)
            self._jobs.end(job)

    def _tell(self, tokens: RowTokens) -> list[Job]:
        """Send the text of each row's tokens; the rows that ended with them."""
        now = time.monotonic()
        ended: dict[int, Job] = {}
        for sequence, token in tokens:
            # A draft's proposals may go on behind an answer's end.
            if sequence.id in ended or sequence not in self._jobs:
                continue
            with self._jobs.contained(self._jobs[sequence]) as job:
                if self._tell_one(job, token, now):
                    ended[sequence.id] = job
        return list(ended.values())

    def _tell_one(self, job: Job, token: int, now: float) -> bool:
        """Whether the answer ended with this token."""
        assert job.text is not None
        job.sequence.first_token_at = job.sequence.first_token_at or now
        chosen = job.sampler.tell(len(job.sequence.generated))
        job.sequence.generated.append(token)
        self._generated += 1
        piece = job.text.feed(token, chosen)
        for event in piece.events:
            job.call.emit(event)
        if piece.finish_reason is not None:
            job.call.emit(job.done(piece, now))
        return piece.finish_reason is not None

    def _begin(self, job: Job) -> None:
        sequence = job.sequence
        self._reuse.begin(job)
        if sequence.started_at is None:
            sequence.started_at = time.monotonic()
            sequence.cached = sequence.computed
            job.call.emit(job.admitted())
            if job.scores is not None and not job.scores.scored:
                job.call.emit(job.scores.all_told())

    # --- endings ------------------------------------------------------------

    def _drop_unwanted(self) -> None:
        """End what nobody waits for any more, or has waited for too long."""
        now = time.monotonic()
        for job in self._jobs:
            deadline = job.sequence.deadline
            overdue = deadline is not None and now >= deadline
            if not overdue and not job.call.cancelled:
                continue
            if job.text is not None:
                # What was computed may serve the next request.
                self._reuse.remember(job)
            if deadline is not None and overdue:
                job.call.emit(_too_late(deadline - job.call.asked_at))
            self._jobs.end(job)

    def _fail_step(self, plan: Plan) -> None:
        """A step broke where no one request is to blame: its model's answers end."""
        for job in self._jobs:
            if job.sequence.model == plan.model and job.sequence.phase is not Phase.WAITING:
                self._jobs.fail(job, defect())

    def _renew_snapshot(self) -> None:
        self.snapshot = self._snapshot()

    def _snapshot(self) -> Snapshot:
        self._cache.settle()
        return take_snapshot(
            profile=self._profile,
            ceiling_bytes=self._ceiling,
            pool=self._pool,
            scheduler=self._scheduler,
            embeddings=self._embeddings,
            cache=self._cache,
            responses=self._responses,
            loads=self._intake.loads,
            steps=self._steps,
            last_step_at=self._last_step_at,
            generated_tokens=self._generated,
        )


def _limits(config: EngineConfig, profile: AcceleratorProfile) -> Limits:
    chunk = prefill_chunk(profile)
    return Limits(config.max_batch, config.max_queue, chunk, chunk // 4)


def _too_late(allowed: float) -> protocol.Failed:
    return DeadlineExceeded(
        f"The answer was not finished within the {allowed:g} s that the request allows. Allow "
        "more, or ask for fewer tokens."
    ).event()
