"""What the engine shows of itself, as values that any thread may read at any time.

A question about the engine must not wait for its thread, which may be deep in a
forward pass or loading weights: so the thread leaves a snapshot after each pass
through its loop, and questions are answered from that.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import mlx.core as mx

from apps.inference.engine import protocol
from apps.inference.engine.embedding.work import EmbeddingWork
from apps.inference.engine.model_loads import ModelLoads
from apps.inference.engine.model_pool import ModelPool
from apps.inference.engine.prompt_cache.cache import PromptCache
from apps.inference.engine.response_cache import ResponseCache
from apps.inference.engine.scheduler import Scheduler
from apps.models.runtime.accelerator import AcceleratorProfile

_STARTED_AT = time.time()


@dataclass(frozen=True)
class Snapshot:
    status: protocol.Status
    entries: protocol.CacheEntries
    stats: protocol.CacheStats
    taken_at: float
    last_step_at: float | None

    def current_status(self) -> protocol.Status:
        """The status with its ages as of now."""
        now = time.monotonic()
        return self.status.model_copy(
            update={
                "loop_age": now - self.taken_at,
                "last_step_age": None if self.last_step_at is None else now - self.last_step_at,
            }
        )


def reset_peak_memory() -> None:
    """Count the peak from now on."""
    mx.reset_peak_memory()


def take_snapshot(
    *,
    profile: AcceleratorProfile,
    ceiling_bytes: int,
    pool: ModelPool,
    scheduler: Scheduler,
    embeddings: EmbeddingWork,
    cache: PromptCache,
    responses: ResponseCache,
    loads: ModelLoads,
    steps: int,
    last_step_at: float | None,
    generated_tokens: int,
) -> Snapshot:
    """To be called on the engine's thread."""
    progress = loads.progress
    status = protocol.Status(
        pid=os.getpid(),
        started_at=_STARTED_AT,
        accelerator=protocol.Accelerator(
            backend=profile.backend,
            name=profile.name,
            blas=profile.blas,
            memory_bytes=profile.memory_bytes,
            memory_ceiling_bytes=ceiling_bytes,
            warning=profile.warning,
        ),
        models=tuple(model.described() for model in pool),
        loading=progress.model if progress else None,
        loading_share=progress.share if progress else 0.0,
        active=scheduler.active + len(embeddings),
        queued=scheduler.queued + len(loads),
        steps=steps,
        last_step_age=None,
        loop_age=0.0,
        generated_tokens=generated_tokens,
        active_memory_bytes=mx.get_active_memory(),
        # After a reset the peak is 0 until something is allocated.
        peak_memory_bytes=max(mx.get_peak_memory(), mx.get_active_memory()),
        held=tuple(protocol.HeldMemory(name=claim.name, bytes=claim.bytes) for claim in pool.held),
    )
    return Snapshot(
        status=status,
        entries=protocol.CacheEntries(entries=cache.entries()),
        stats=cache.stats().model_copy(update=responses.stats().named()),
        taken_at=time.monotonic(),
        last_step_at=last_step_at,
    )
