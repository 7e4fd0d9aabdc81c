"""Events that tell what the engine is, does and holds."""

from __future__ import annotations

from typing import Literal

from apps.inference.engine.protocol.answers import Speculation
from apps.inference.engine.protocol.parts import Wire


class LoadedModel(Wire):
    name: str
    digest: str
    path: str
    context_length: int
    weights_bytes: int
    live_kv_bytes: int
    loaded_at: float
    """Seconds since the epoch."""
    last_used_at: float
    pinned: bool = False
    unloads_at: float | None = None
    """When it goes if nobody uses it; None: it stays."""
    measured_bytes: int = 0
    """Memory that loading it took."""
    adapters: tuple[str, ...] = ()
    draft: str | None = None
    """The draft model in use; empty where one was asked for and is not used."""
    draft_problem: str = ""
    """Why the draft is not used and what to do."""
    speculation: Speculation | None = None
    """Over all its answers since it was loaded."""


class ModelReady(Wire):
    event: Literal["model_ready"] = "model_ready"
    model: LoadedModel
    seconds: float


class Ok(Wire):
    event: Literal["ok"] = "ok"


class Held(Wire):
    """The memory is the caller's for as long as it keeps the call open."""

    event: Literal["held"] = "held"
    unloaded: tuple[str, ...] = ()
    """Names of idle models that gave way."""


class HeldMemory(Wire):
    """Memory that work outside the engine uses."""

    name: str
    bytes: int


class Accelerator(Wire):
    backend: Literal["metal", "cuda", "cpu"]
    name: str
    blas: str | None
    memory_bytes: int
    memory_ceiling_bytes: int
    warning: str | None = None


class Status(Wire):
    """``last_step_age`` is None before the first completed step.

    A healthy engine either has nothing to do (``active`` and ``queued`` both 0)
    or a young last step: an open socket alone proves nothing.
    """

    event: Literal["status"] = "status"
    pid: int
    started_at: float
    accelerator: Accelerator
    models: tuple[LoadedModel, ...]
    loading: str | None
    loading_share: float = 0.0
    """How much of the model that is being loaded is there, 0 to 1."""
    active: int
    """Sequences being prefilled or decoded, and calls that wait for vectors."""
    queued: int
    steps: int
    """Completed engine steps."""
    last_step_age: float | None
    """Seconds since the last completed step."""
    loop_age: float
    """Seconds since the engine thread last passed through its loop, idle or not."""
    generated_tokens: int
    active_memory_bytes: int
    peak_memory_bytes: int
    """Since the engine started, or since ``ResetPeakMemory``."""
    held: tuple[HeldMemory, ...] = ()


class CacheEntry(Wire):
    id: str
    model: str
    model_digest: str
    kind: Literal["system", "conversation"]
    preview: str
    """The first characters of the cached prompt, special tokens left out."""
    tokens: int
    bytes: int
    """KV bytes on the entry's path; spans shared with other entries count in each."""
    hits: int
    pinned: bool
    in_memory: bool
    on_disk: bool
    created_at: float
    last_used_at: float


class CacheEntries(Wire):
    event: Literal["cache_entries"] = "cache_entries"
    entries: tuple[CacheEntry, ...]


class CacheStats(Wire):
    event: Literal["cache_stats"] = "cache_stats"
    memory_entries: int
    memory_bytes: int
    max_entries: int
    max_memory_bytes: int
    disk_entries: int
    disk_bytes: int
    max_disk_bytes: int
    total_hits: int
    total_misses: int
    hit_rate: float
    """Hits over look-ups, 0.0 before the first."""
    tokens_reused: int
    tokens_computed: int
    evictions: int
    disk_hits: int
    disk_errors: int
    response_entries: int = 0
    response_bytes: int = 0
    response_max_bytes: int = 0
    """0 where the response cache is off."""
    response_hits: int = 0
    response_misses: int = 0


class Evicted(Wire):
    event: Literal["evicted"] = "evicted"
    entries: int
